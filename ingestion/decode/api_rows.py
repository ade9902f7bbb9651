"""Answers of a REST API as rows with a dataset's schema.

Belongs here: objects and their attributes → Arrow rows, and setting aside what cannot be stored exactly or breaks the
contract of its dataset.
Does not: requesting (`ingestion.recent`), or how an answer's fields read (`ingestion.venues`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.decode.contracts import row_faults, shown, value_fault
from ingestion.decode.order import order_of, repeats
from ingestion.domain.arrow import unstorable
from ingestion.domain.datasets import INSTRUMENTS, Dataset
from ingestion.domain.errors import ContractViolation
from ingestion.domain.markets import ContractType, Market
from ingestion.domain.periods import Period
from ingestion.venues.venue import Instrument

# Arrow does not check the bounds of its table of powers of ten below this one.
_FINEST_EXPONENT: Final = -38
# Where a stored column and the attribute that it comes from differ in name.
_ATTRIBUTES: Final = {"trade_number": "number"}


@dataclass(frozen=True)
class SetAside:
    """The rows of one minute that are not stored: how many, and why the first of them is not."""

    minute: datetime
    reason: str
    rows: int


Rows = tuple[pa.Table, list[SetAside]]


def rows_of(dataset: Dataset, found: Sequence[Any], market: Market, period: Period) -> Rows:
    """Rows with the dataset's schema, from objects whose attributes have the names of its columns, except those that
    break its contract or lie outside `period`: these are set aside by minute, so that one of them costs its minute and
    no more. ContractViolation where none is left."""
    names = [(column.name, _ATTRIBUTES.get(column.name, column.name)) for column in dataset.columns]
    rows = [{name: getattr(one, attribute) for name, attribute in names} for one in found]
    return _storable(rows, dataset, market, period)


def instrument_rows(found: Sequence[Instrument], now: datetime, market: Market, period: Period) -> Rows:
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
    return _storable(rows, INSTRUMENTS, market, period)


def usable(table: pa.Table, dataset: Dataset, market: Market, period: Period) -> Rows:
    """The rows that keep the contract of the dataset, and the others, set aside by minute."""
    is_inverse = market.contract_type is ContractType.INVERSE
    faults: dict[int, str] = {}
    for breach in row_faults(table, dataset, period, is_inverse=is_inverse):
        for place in np.flatnonzero(breach.failing.to_numpy(zero_copy_only=False)).tolist():
            faults.setdefault(place, f"{breach.label}: `{shown(breach.values[place])}`")
    if dataset.one_per_time:
        _note_twice(table, dataset, faults)
    if not faults:
        return table, []
    times = table.column(dataset.time_column)
    aside = [(times[place].as_py(), reason) for place, reason in sorted(faults.items())]
    kept = np.ones(table.num_rows, dtype=bool)
    kept[list(faults)] = False
    return table.filter(pa.array(kept)), _by_minute(aside, period)


def _note_twice(table: pa.Table, dataset: Dataset, faults: dict[int, str]) -> None:
    """Rows of one time with different contents: neither is known to be right."""
    ordered = table.take(pa.array(order_of(table, dataset.time_column)))
    distinct = ordered.filter(pa.array(~repeats(ordered))).column(dataset.time_column)
    counts = pc.value_counts(distinct)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if not len(twice):
        return
    clashing = pc.is_in(table.column(dataset.time_column), value_set=twice)
    for place in np.flatnonzero(clashing.to_numpy(zero_copy_only=False)).tolist():
        at = table.column(dataset.time_column)[place].as_py()
        faults.setdefault(place, f"`{dataset.time_column}` {at} appears twice with different rows")


def _storable(rows: Sequence[dict[str, Any]], dataset: Dataset, market: Market, period: Period) -> Rows:
    set_aside: list[SetAside] = []
    try:
        _refuse_unsafe(rows, dataset)
        table = pa.Table.from_pylist(rows, schema=dataset.schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Some value has no place in its column's type: every row by itself.
        faults = [_unstorable(row, dataset) for row in rows]
        if not any(faults):
            raise
        times = [row[dataset.time_column] for row in rows]
        aside = [(at, fault) for at, fault in zip(times, faults, strict=True) if fault is not None]
        set_aside = _by_minute(aside, period)
        kept = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
        table = pa.Table.from_pylist(kept, schema=dataset.schema)
    table, more = usable(table, dataset, market, period)
    set_aside = sorted([*set_aside, *more], key=lambda each: each.minute)
    if set_aside and not table.num_rows:
        reasons = list(dict.fromkeys(each.reason for each in set_aside))
        raise ContractViolation(f"{market} {dataset.name} {period}", reasons[:5])
    return table, set_aside


def _refuse_unsafe(rows: Sequence[dict[str, Any]], dataset: Dataset) -> None:
    """ArrowInvalid for a number that Arrow would not refuse: `1e-57` becomes 0, and `1e-9999999` ends the process."""
    names = [column.name for column in dataset.columns if pa.types.is_decimal(column.type)]
    for row in rows:
        for name in names:
            value = row[name]
            exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
            if isinstance(exponent, int) and exponent < _FINEST_EXPONENT:
                raise pa.ArrowInvalid(f"`{name}` has more decimals than Arrow reads")


def _by_minute(faults: Sequence[tuple[datetime | None, str]], period: Period) -> list[SetAside]:
    """The faults summed by minute; those without a time of the period at its beginning."""
    minutes: dict[datetime, list[str]] = {}
    for at, fault in faults:
        is_inside = at is not None and period.starts_at <= at < period.ends_at
        minute = (at if at is not None and is_inside else period.starts_at).astimezone(UTC)
        minutes.setdefault(minute.replace(second=0, microsecond=0), []).append(fault)
    return [SetAside(minute, reasons[0], len(reasons)) for minute, reasons in sorted(minutes.items())]


def _unstorable(row: dict[str, Any], dataset: Dataset) -> str | None:
    """The first value of the row that its column cannot hold, in a sentence without full stop; None without any."""
    for column in dataset.columns:
        value = row[column.name]
        if isinstance(value, Decimal) and pa.types.is_decimal(column.type):
            fault = unstorable(value, column.type)
            if fault is not None:
                return f"`{column.name}` {str(value)[:100]} {fault}"
        fault = value_fault(column, value)
        if fault is not None:
            return fault
    return None
