"""Tables of all receipts, which dbt reads: the index, and beside it coverage and defects.

Belongs here: their columns, the rows that one receipt gives, bringing them up to date with the receipts, rewriting
objects of an older schema.
Does not: single objects (`ingestion.raw.zone`), what a receipt states (`ingestion.raw.receipts`).
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.decode.parquet import write_rows
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import StorageError
from ingestion.domain.periods import days_between
from ingestion.raw.receipts import SCHEMA_VERSION, Receipt, readable
from ingestion.raw.schema import with_todays_schema
from ingestion.raw.store import ObjectStore, StoredObject

INDEX_KEY: Final = "raw/receipts.parquet"
COVERAGE_KEY: Final = "raw/coverage.parquet"
DEFECTS_KEY: Final = "raw/defects.parquet"
_SCHEMA_VERSION_NAME: Final = b"taker.schema_version"
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
# Written with the index: the schema version of every object in it.
_INDEX_METADATA: Final = {_SCHEMA_VERSION_NAME: str(SCHEMA_VERSION).encode()}
_REWRITTEN_AT_ONCE: Final = 4


def _index_rows(found: StoredObject, receipt: Receipt) -> list[dict[str, Any]]:
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
            "period": receipt.period,
            "day": day,
            "status": "absent" if day in absent else receipt.status,
            "row_count": receipt.rows if is_day else receipt.day_rows.get(day.isoformat(), 0),
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


def _coverage_rows(found: StoredObject, receipt: Receipt) -> list[dict[str, Any]]:
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
    ]


def _defect_rows(found: StoredObject, receipt: Receipt) -> list[dict[str, Any]]:
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
        for defect in receipt.defects
    ]


def _hour_at(hour: str) -> datetime:
    """The instant of an hour in the form of receipts, `2026-11-26T13`."""
    return datetime.strptime(f"{hour} +0000", "%Y-%m-%dT%H %z")


@dataclass(frozen=True)
class _Derived:
    """A table derived from the receipts: key, columns, the rows of one receipt, the order of all rows."""

    key: str
    schema: pa.Schema
    rows_of: Callable[[StoredObject, Receipt], list[dict[str, Any]]]
    order: tuple[str, ...]


INDEX: Final = _Derived(INDEX_KEY, _INDEX_SCHEMA, _index_rows, ("dataset", "market_id", "interval", "day"))
COVERAGE: Final = _Derived(COVERAGE_KEY, _COVERAGE_SCHEMA, _coverage_rows, ("dataset", "venue", "symbol", "hour_at"))
DEFECTS: Final = _Derived(
    DEFECTS_KEY,
    DEFECTS_SCHEMA,
    _defect_rows,
    ("dataset", "market_id", "interval", "period", "day", "hour_at", "kind", "source_key", "reason"),
)
_BESIDE_THE_INDEX: Final = (COVERAGE, DEFECTS)


def table_of(store: ObjectStore, derived: _Derived) -> pa.Table:
    """The table as last written; empty before that."""
    stored = _stored(store, derived)
    return stored if stored is not None else derived.schema.empty_table()


def update(store: ObjectStore, scratch: Path | None = None) -> pa.Table:
    """Bring the three tables up to date with the receipts; returns the index.

    Reads only those receipts that changed since it was last written. Objects of an older schema are rewritten first, so
    that all objects in the index have one schema.
    """
    listed = [found for found in store.list("raw") if found.key.endswith("/receipt.json")]
    written = table_of(store, INDEX)
    versions = dict(zip(written["receipt_key"].to_pylist(), written["receipt_version"].to_pylist(), strict=True))
    # Where a table is missing, or of an older version, all of them are built from every receipt.
    is_rebuilt = any(_stored(store, beside) is None for beside in _BESIDE_THE_INDEX) or not _is_current(written)
    changed = [found for found in listed if is_rebuilt or versions.get(found.key) != found.version]
    if not changed and len(versions) == len(listed):
        return written
    unchanged = {found.key for found in listed} - {found.key for found in changed}
    with ThreadPoolExecutor(16) as pool:
        read = list(zip(changed, pool.map(lambda found: _read(store, found), changed), strict=True))
    with ThreadPoolExecutor(_REWRITTEN_AT_ONCE) as pool:
        read = list(pool.map(lambda each: _with_current_schema(store, each[0], each[1], scratch), read))
    for beside in _BESIDE_THE_INDEX:
        _write(store, beside, read, unchanged)
    return _write(store, INDEX, read, unchanged)


def _read(store: ObjectStore, found: StoredObject) -> Receipt | None:
    """The listed receipt; None for a torn one: the next ingestion of its period replaces it."""
    payload = store.get_bytes(found.key)
    if payload is None:
        raise StorageError(f"{found.key} disappeared while the index was written; run the same command again")
    return readable(payload)


def _with_current_schema(
    store: ObjectStore, found: StoredObject, receipt: Receipt | None, scratch: Path | None
) -> tuple[StoredObject, Receipt | None]:
    """The listed receipt, once its object has the current schema: rewritten without loss if it had an older one.

    First the data, then the receipt. A kill in between leaves an older receipt beside current data, which is then only
    read; an object that is replaced meanwhile is left to the next update.
    """
    if receipt is None or receipt.status != "stored" or receipt.schema_version >= SCHEMA_VERSION:
        return found, receipt
    folder = found.key.removesuffix("/receipt.json")
    data_key = f"{folder}/data.parquet"
    dataset = DATASETS.get(receipt.dataset)
    payload = store.get_bytes(data_key)
    if dataset is None or payload is None:
        return found, receipt
    durable = receipt.dataset not in ARCHIVED
    table = pq.read_table(io.BytesIO(payload), partitioning=None)
    if not table.schema.equals(dataset.schema):
        with tempfile.TemporaryDirectory(prefix="taker-", dir=scratch) as made_in:
            target = Path(made_in, "data.parquet")
            write_rows([with_todays_schema(table, dataset)], dataset, None, target)
            if readable(store.get_bytes(found.key)) != receipt:
                return found, receipt
            store.put_file(data_key, target, durable=durable)
            payload = target.read_bytes()
    receipt = replace(
        receipt,
        schema_version=SCHEMA_VERSION,
        stored_bytes=len(payload),
        stored_sha256=hashlib.sha256(payload).hexdigest(),
    )
    store.put_bytes(found.key, receipt.to_json(), durable=durable)
    return next(each for each in store.list(folder) if each.key == found.key), receipt


def _stored(store: ObjectStore, derived: _Derived) -> pa.Table | None:
    """The table as stored; None where it is missing or has other columns."""
    payload = store.get_bytes(derived.key)
    if payload is None:
        return None
    table = pq.read_table(io.BytesIO(payload))
    return table if table.schema.equals(derived.schema) else None


def _is_current(table: pa.Table) -> bool:
    metadata = table.schema.metadata or {}
    return bool(metadata.get(_SCHEMA_VERSION_NAME) == _INDEX_METADATA[_SCHEMA_VERSION_NAME])


def _write(
    store: ObjectStore, derived: _Derived, changed: Sequence[tuple[StoredObject, Receipt | None]], unchanged: set[str]
) -> pa.Table:
    """The table with the rows of changed receipts replaced, and without those of deleted ones."""
    stored = _stored(store, derived)
    written = stored if stored is not None else derived.schema.empty_table()
    kept = written.filter(pc.is_in(written["receipt_key"], value_set=pa.array(sorted(unchanged), pa.string())))
    rows = [row for found, receipt in changed if receipt for row in derived.rows_of(found, receipt)]
    if stored is not None and _is_current(written) and not rows and kept.num_rows == written.num_rows:
        return stored
    table = pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=derived.schema)])
    table = table.sort_by([(name, "ascending") for name in derived.order])
    table = table.replace_schema_metadata(_INDEX_METADATA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    store.put_bytes(derived.key, buffer.getvalue())
    return table
