"""The tables that are derived from receipts: the index, and beside it coverage and defects.

Belongs here: their keys and columns, and the rows that one receipt gives to each. Does not: bringing them up to date
(`ingestion.raw.index`), what a receipt states (`ingestion.raw.receipts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import ARCHIVED
from ingestion.domain.periods import days_between
from ingestion.raw.names import data_key
from ingestion.raw.receipts import Defect, Receipt
from ingestion.raw.store import StoredObject

INDEX_KEY: Final = "raw/receipts.parquet"
COVERAGE_KEY: Final = "raw/coverage.parquet"
DEFECTS_KEY: Final = "raw/defects.parquet"
_INDEX_SCHEMA: Final = pa.schema(
    [
        ("dataset", pa.string()),
        ("venue", pa.string()),
        ("symbol", pa.string()),
        ("market_id", pa.string()),
        ("base_asset", pa.string()),
        ("quote_asset", pa.string()),
        ("contract_type", pa.string()),
        ("contract_size", pa.decimal128(38, 8)),
        ("base_multiplier", pa.int64()),
        ("delivered_at", INSTANT),
        ("interval", pa.string()),
        ("period", pa.string()),
        ("day", pa.date32()),
        ("status", pa.string()),
        ("row_count", pa.int64()),
        ("id_gaps", pa.int64()),
        ("duplicate_rows", pa.int64()),
        ("zero_rows", pa.int64()),
        ("out_of_order_rows", pa.int64()),
        ("first_id", pa.int64()),
        ("last_id", pa.int64()),
        ("source_keys", pa.string()),
        ("source_sha256", pa.string()),
        ("stored_sha256", pa.string()),
        ("revision", pa.int32()),
        ("known_at", INSTANT),
        # An unchanged receipt is not read again.
        ("receipt_key", pa.string()),
        ("receipt_version", pa.string()),
    ]
)
_COVERAGE_SCHEMA: Final = pa.schema(
    [
        ("dataset", pa.string()),
        ("venue", pa.string()),
        ("symbol", pa.string()),
        ("hour_at", INSTANT),
        ("covered_minutes", pa.int32()),
        ("is_every_order", pa.bool_()),
        ("lost_messages", pa.int32()),
        # Empty: every symbol of the venue. Otherwise a total over the venue covers these symbols only.
        ("heard_symbols", pa.string()),
        ("known_at", INSTANT),
        ("receipt_key", pa.string()),
    ]
)
DEFECTS_SCHEMA: Final = pa.schema(
    [
        ("dataset", pa.string()),
        ("venue", pa.string()),
        ("symbol", pa.string()),
        ("market_id", pa.string()),
        ("interval", pa.string()),
        ("period", pa.string()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        # Empty: all of the period.
        ("day", pa.date32()),
        ("hour_at", INSTANT),
        ("row_count", pa.int64()),
        ("source_key", pa.string()),
        ("used_instead", pa.string()),
        ("known_at", INSTANT),
        ("receipt_key", pa.string()),
    ]
)
# What the index states for the days of an object that is not as its receipt states: they are not covered.
DAMAGED: Final = "damaged"
# What it states for the days that the venue has no file of.
ABSENT: Final = "absent"


def _index_rows(found: StoredObject, receipt: Receipt, fault: str | None) -> list[dict[str, Any]]:
    market = receipt.market
    # A daily file belongs to its day, also when its last row is labelled with the first instant of the next one.
    is_day = receipt.first_day == receipt.last_day and len(receipt.period) == len("2024-08-08")
    absent = set(receipt.absent_days)
    return [
        {
            "dataset": receipt.dataset,
            "venue": receipt.venue,
            "symbol": receipt.symbol,
            "market_id": market.market_id,
            "base_asset": market.base_asset,
            "quote_asset": market.quote_asset,
            "contract_type": market.contract_type.value,
            "contract_size": market.contract_size,
            "base_multiplier": market.base_multiplier,
            "delivered_at": market.delivers_at,
            "interval": receipt.interval,
            # Of the object that holds the day: engines find it by that.
            "period": receipt.within.period if receipt.within else receipt.period,
            "day": day,
            "status": ABSENT if day in absent else DAMAGED if fault else receipt.status,
            "row_count": 0 if fault else receipt.rows if is_day else receipt.day_rows.get(day.isoformat(), 0),
            "id_gaps": receipt.id_gaps,
            "duplicate_rows": receipt.duplicate_rows,
            "zero_rows": receipt.zero_rows,
            "out_of_order_rows": receipt.out_of_order_rows,
            "first_id": receipt.first_id,
            "last_id": receipt.last_id,
            "source_keys": " ".join(source.key for source in receipt.sources),
            "source_sha256": " ".join(source.sha256 for source in receipt.sources),
            "stored_sha256": receipt.stored_sha256,
            "revision": receipt.revision,
            "known_at": receipt.known_at,
            "receipt_key": found.key,
            "receipt_version": found.version,
        }
        for day in days_between(receipt.first_day, receipt.last_day)
        # Files of a delivered contract may go on; rows stored before the delivery was known are not used.
        if market.delivers_at is None or day <= market.delivers_at.date()
    ]


def _coverage_rows(found: StoredObject, receipt: Receipt, fault: str | None) -> list[dict[str, Any]]:
    return [
        {
            "dataset": receipt.dataset,
            "venue": receipt.venue,
            "symbol": receipt.symbol,
            "hour_at": _hour_at(hour),
            "covered_minutes": minutes,
            "is_every_order": receipt.is_every_order,
            "lost_messages": receipt.lost_messages.get(hour, 0),
            "heard_symbols": receipt.subscribed_symbols.get(hour, ""),
            "known_at": receipt.known_at,
            "receipt_key": found.key,
        }
        for hour, minutes in sorted(receipt.covered_minutes.items())
        if fault is None
    ]


def _defect_rows(found: StoredObject, receipt: Receipt, fault: str | None) -> list[dict[str, Any]]:
    return [
        {
            "dataset": receipt.dataset,
            "venue": receipt.venue,
            "symbol": receipt.symbol,
            "market_id": receipt.market.market_id,
            "interval": receipt.interval,
            "period": receipt.period,
            "kind": defect.kind,
            "reason": defect.reason,
            "day": defect.day,
            "hour_at": _hour_at(defect.hour) if defect.hour else None,
            "row_count": defect.rows,
            "source_key": defect.source_key,
            "used_instead": defect.used_instead,
            "known_at": receipt.known_at,
            "receipt_key": found.key,
        }
        for defect in (*receipt.defects, *([_damage(found, receipt, fault)] if fault else []))
    ]


def _damage(found: StoredObject, receipt: Receipt, fault: str) -> Defect:
    """What is wrong with the object, and what makes it whole."""
    return Defect("damaged_object", f"the stored file {fault}; {remedy(receipt)}", source_key=data_key(found.key))


def remedy(receipt: Receipt) -> str:
    """What to do about a damaged object."""
    if receipt.dataset in ARCHIVED:
        days = f"--from {receipt.first_day} --to {receipt.last_day}"
        return f"`taker run --markets {receipt.market.market_id} {days}` fetches it again"
    return (
        "it cannot be fetched again once the venue's API has no more of the day; restore it from a copy, or put the "
        "day's sealed files back into the spool"
    )


def _hour_at(hour: str) -> datetime:
    """The instant of an hour in the form of receipts, `2026-11-26T13`."""
    return datetime.strptime(f"{hour} +0000", "%Y-%m-%dT%H %z")


@dataclass(frozen=True)
class Derived:
    """A table derived from the receipts: key, columns, the rows of one receipt and its fault, the order of all rows."""

    key: str
    schema: pa.Schema
    rows_of: Callable[[StoredObject, Receipt, str | None], list[dict[str, Any]]]
    order: tuple[str, ...]


INDEX: Final = Derived(INDEX_KEY, _INDEX_SCHEMA, _index_rows, ("dataset", "market_id", "interval", "day"))
COVERAGE: Final = Derived(COVERAGE_KEY, _COVERAGE_SCHEMA, _coverage_rows, ("dataset", "venue", "symbol", "hour_at"))
DEFECTS: Final = Derived(
    DEFECTS_KEY,
    DEFECTS_SCHEMA,
    _defect_rows,
    ("dataset", "market_id", "interval", "period", "day", "hour_at", "kind", "source_key", "reason"),
)
BESIDE_THE_INDEX: Final = (COVERAGE, DEFECTS)
TABLES: Final = (INDEX, *BESIDE_THE_INDEX)
