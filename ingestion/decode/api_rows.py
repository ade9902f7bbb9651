"""Answers of a REST API as rows with a dataset's schema.

Belongs here: objects and their attributes → Arrow rows, and setting aside what cannot be stored exactly.
Does not: requesting (`ingestion.recent`), or how an answer's fields read (`ingestion.venues`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from ingestion.domain.arrow import unstorable
from ingestion.domain.datasets import INSTRUMENTS, Dataset
from ingestion.venues.venue import Instrument

# Where a stored column and the attribute that it comes from differ in name.
_ATTRIBUTES: Final = {"trade_number": "number"}


@dataclass(frozen=True)
class SetAside:
    """The rows of one minute that are not stored: how many, and why the first of them is not."""

    minute: datetime
    reason: str
    rows: int


Rows = tuple[pa.Table, list[SetAside]]


def rows_of(dataset: Dataset, found: Sequence[Any]) -> Rows:
    """Rows with the dataset's schema, from objects whose attributes have the names of its columns."""
    names = [(column.name, _ATTRIBUTES.get(column.name, column.name)) for column in dataset.columns]
    return _storable([{name: getattr(one, attribute) for name, attribute in names} for one in found], dataset)


def instrument_rows(found: Sequence[Instrument], now: datetime) -> Rows:
    """The contracts of a venue, as of `now`."""
    rows = [
        {
            "symbol_name": one.market.symbol,
            "observed_at": now,
            "base_asset": one.market.base_asset,
            "quote_asset": one.market.quote_asset,
            "contract_type": one.market.contract_type.value,
            "contract_size": one.contract_size,
            "base_multiplier": one.market.base_multiplier,
            "listed_at": one.listed_at,
            "delivers_at": one.delivers_at,
            "is_trading": one.is_trading,
        }
        for one in found
    ]
    return _storable(rows, INSTRUMENTS)


def _storable(rows: Sequence[dict[str, Any]], dataset: Dataset) -> Rows:
    """The rows with the dataset's schema, except those with a number that cannot be stored exactly: these are set aside
    by minute, so that a single such trade costs its minute and no more."""
    try:
        return pa.Table.from_pylist(rows, schema=dataset.schema), []
    except pa.ArrowInvalid:
        faults = [_unstorable(row, dataset) for row in rows]
        if not any(faults):
            raise
    minutes: dict[datetime, list[str]] = {}
    for row, fault in zip(rows, faults, strict=True):
        if fault is not None:
            minute = row[dataset.time_column].astimezone(UTC).replace(second=0, microsecond=0)
            minutes.setdefault(minute, []).append(fault)
    kept = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
    set_aside = [SetAside(minute, reasons[0], len(reasons)) for minute, reasons in sorted(minutes.items())]
    return pa.Table.from_pylist(kept, schema=dataset.schema), set_aside


def _unstorable(row: dict[str, Any], dataset: Dataset) -> str | None:
    """The first number of the row that does not fit, in a sentence without full stop; None when all of them do."""
    for column in dataset.columns:
        value = row[column.name]
        if isinstance(value, Decimal) and pa.types.is_decimal(column.type):
            fault = unstorable(value, column.type)
            if fault is not None:
                return f"`{column.name}` {value} {fault}"
    return None
