"""Tables of all receipts, which dbt reads: the index, and beside it coverage and defects.

Belongs here: their columns, the rows that one receipt gives, bringing them up to date with the receipts and with what
is really stored, rewriting objects of an older schema.
Does not: single objects (`ingestion.raw.zone`), what a receipt states (`ingestion.raw.receipts`), whether an object is
as its receipt states (`ingestion.raw.soundness`).

Longer than most: the columns of three tables, and the one procedure that writes them.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Semaphore
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.decode.parquet import write_rows
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import StorageError
from ingestion.domain.periods import days_between
from ingestion.raw.receipts import SCHEMA_VERSION, Defect, Receipt, readable
from ingestion.raw.schema import with_todays_schema
from ingestion.raw.soundness import (
    READ_BY_EVERY_BUILD,
    VERIFIED_KEY,
    VERIFIED_SCHEMA,
    Inspector,
    read_table,
    table_bytes,
)
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
_READ_IN_A_ROW: Final = 32
_ROWS_AT_ONCE: Final = 1 << 12
_RECEIPT: Final = "/receipt.json"
_DATA: Final = "/data.parquet"
_OF_AN_OBJECT: Final = (_DATA[1:], _RECEIPT[1:])
# What the index states for the days of an object that is not as its receipt states: they are not covered.
DAMAGED: Final = "damaged"
# An object that is replaced while it is judged is judged again so often.
_MOST_LOOKS: Final = 3
_SET_ASIDE: Final = "raw/set_aside"
# Beside an object that is being rewritten: the sha256 of what replaces it.
_REWRITING: Final = "rewriting.sha256"


@dataclass(frozen=True)
class _Judged:
    """A listed receipt; None for a torn one. `fault`: what is wrong with its data object, None where nothing is."""

    found: StoredObject
    receipt: Receipt | None
    fault: str | None = None

    @property
    def folder(self) -> str:
        return self.found.key.removesuffix(_RECEIPT)


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
            "period": receipt.period,
            "day": day,
            "status": "absent" if day in absent else DAMAGED if fault else receipt.status,
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
    data_key = f"{found.key.rpartition('/')[0]}/data.parquet"
    return Defect("damaged_object", f"the stored file {fault}; {remedy(receipt)}", source_key=data_key)


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
class _Derived:
    """A table derived from the receipts: key, columns, the rows of one receipt and its fault, the order of all rows."""

    key: str
    schema: pa.Schema
    rows_of: Callable[[StoredObject, Receipt, str | None], list[dict[str, Any]]]
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
_TABLES: Final = (INDEX, *_BESIDE_THE_INDEX)


def table_of(store: ObjectStore, derived: _Derived) -> pa.Table:
    """The table as last written; empty before that, and where it cannot be read: the next update makes it anew."""
    stored = _stored(store, derived)
    return stored if stored is not None else derived.schema.empty_table()


def update(
    store: ObjectStore,
    scratch: Path | None = None,
    *,
    rehashes: bool = False,
    notice: Callable[[str], None] = lambda text: None,
) -> pa.Table:
    """Bring the three tables up to date with the receipts and with what is stored; returns the index.

    Reads only those receipts that changed since it was last written, and hashes only objects whose version was not
    hashed before, or that every build reads; with `rehashes`, every object. Objects of an older schema are rewritten
    first, so that all objects in the index have one schema. `notice` gets what was found wrong, a sentence each.
    """
    verified, *tables = (
        _read_or_set_aside(store, key, schema, notice)
        for key, schema in ((VERIFIED_KEY, VERIFIED_SCHEMA), *((each.key, each.schema) for each in _TABLES))
    )
    written = tables[0] if tables[0] is not None else INDEX.schema.empty_table()
    listing = _listing(store, written)
    listed = [found for key, found in listing.items() if key.endswith(_RECEIPT)]
    inspector = Inspector(store, listing, rehashes=rehashes)
    as_listed, is_lacking = _as_listed(listing, written)
    # Where a table is missing, or of an older version, all of them are built from every receipt.
    is_rebuilt = any(table is None for table in tables[1:]) or not _is_current(written)
    doubtful = _doubtful(inspector, written, store.at_once)
    unchanged = set() if is_rebuilt else as_listed - doubtful
    changed = [found for found in listed if found.key not in unchanged]
    if not changed and not is_lacking:
        return written
    anew = [_Rows(derived) for derived in _TABLES]
    for judged in _examined(store, inspector, scratch, changed):
        for text in _found_wrong(judged):
            notice(text)
        for rows in anew:
            rows.add(judged)
    _write_verified(store, inspector, verified, [_data_key(found.key) for found in listed])
    *_, index = (
        _write(store, rows, table, unchanged)
        # The index last: with it, the others are up to date.
        for rows, table in reversed(list(zip(anew, tables, strict=True)))
    )
    return index


def _listing(store: ObjectStore, written: pa.Table) -> dict[str, StoredObject]:
    """The objects of the zone, by key; of those in the index, at least the data and the receipt."""
    known = (key.removesuffix(_RECEIPT) for key in pc.unique(written["receipt_key"]).to_pylist())
    return {found.key: found for found in store.list("raw", only=dict.fromkeys(known, _OF_AN_OBJECT))}


def _as_listed(listing: Mapping[str, StoredObject], written: pa.Table) -> tuple[set[str], bool]:
    """Keys of the receipts that are listed as the index has them, and whether any of the index is not listed at all."""
    same, is_lacking = set(), False
    for key, version in _rows_of(written, "receipt_key", "receipt_version"):
        found = listing.get(key)
        if found is None:
            is_lacking = True
        elif found.version == version:
            same.add(found.key)
    return same, is_lacking


def _rows_of(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """These columns' values, row by row; a row like the one before it, as of an object of many days, is left out."""
    last = None
    for batch in table.select(names).to_batches(max_chunksize=_ROWS_AT_ONCE):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if row != last:
                yield row
            last = row


def _examined(
    store: ObjectStore, inspector: Inspector, scratch: Path | None, changed: Sequence[StoredObject]
) -> Iterator[list[_Judged]]:
    """The changed receipts, a few hundred at once, each with what is wrong with its object.

    A thread takes several in a row: handing over each of them costs more than to read it.
    """
    rewriting = Semaphore(_REWRITTEN_AT_ONCE)

    def examine(some: Sequence[StoredObject]) -> list[_Judged]:
        found = [_Judged(each, _read(store, each)) for each in some]
        found = [_with_current_schema(store, inspector, scratch, rewriting, each) for each in found]
        return [_judged(store, inspector, each) for each in found]

    in_a_row = max(1, min(_READ_IN_A_ROW, len(changed) // store.at_once))
    at_once = in_a_row * store.at_once
    with ThreadPoolExecutor(store.at_once) as pool:
        for first in range(0, len(changed), at_once):
            some = changed[first : first + at_once]
            parts = pool.map(examine, [some[start : start + in_a_row] for start in range(0, len(some), in_a_row)])
            yield [each for part in parts for each in part]


class _Rows:
    """The rows of one table that changed receipts give, without their receipts."""

    def __init__(self, derived: _Derived) -> None:
        self.derived = derived
        self._tables: list[pa.Table] = []

    def add(self, judged: Sequence[_Judged]) -> None:
        rows = [row for one in judged if one.receipt for row in self.derived.rows_of(one.found, one.receipt, one.fault)]
        if rows:
            self._tables.append(pa.Table.from_pylist(rows, schema=self.derived.schema))

    def merged(self, written: pa.Table, unchanged: set[str]) -> pa.Table:
        """With those of `written` whose receipts are `unchanged`, in the table's order."""
        kept = written.filter(pc.is_in(written["receipt_key"], value_set=pa.array(sorted(unchanged), pa.string())))
        if _is_current(written) and not self._tables and kept.num_rows == written.num_rows:
            return written
        table = pa.concat_tables([kept, *self._tables])
        table = table.sort_by([(name, "ascending") for name in self.derived.order])
        return table.replace_schema_metadata(_INDEX_METADATA)


def is_current(store: ObjectStore) -> bool:
    """Whether an update would change nothing: no receipt and no stored object has another version than when the tables
    were last written, nothing is damaged, and all tables are there. Hashes nothing and writes nothing."""
    written = _stored(store, INDEX)
    if written is None or not _is_current(written) or any(_stored(store, each) is None for each in _BESIDE_THE_INDEX):
        return False
    listed = _listing(store, written)
    as_listed, is_lacking = _as_listed(listed, written)
    if is_lacking or len(as_listed) != sum(key.endswith(_RECEIPT) for key in listed):
        return False
    return not _doubtful(Inspector(store, listed), written, hashes=False)


def as_of_now(store: ObjectStore) -> tuple[pa.Table, pa.Table]:
    """The index and the defects as last written, but for objects that were lost or changed since. Writes nothing.

    Hashes only what has another version now; before the first update that remembers versions, nothing.
    """
    index, defects = table_of(store, INDEX), table_of(store, DEFECTS)
    if store.get_bytes(VERIFIED_KEY) is None:
        return index, defects
    listed = _listing(store, index)
    inspector = Inspector(store, listed)
    doubtful = _doubtful(inspector, index, hashes=False) & listed.keys()
    judged = [_judged(store, inspector, _Judged(listed[key], _read(store, listed[key]))) for key in sorted(doubtful)]
    unchanged = set(index["receipt_key"].to_pylist()) - doubtful
    of_index, of_defects = _Rows(INDEX), _Rows(DEFECTS)
    for rows in (of_index, of_defects):
        rows.add(judged)
    return of_index.merged(index, unchanged), of_defects.merged(defects, unchanged)


def _doubtful(inspector: Inspector, written: pa.Table, at_once: int = 1, *, hashes: bool = True) -> set[str]:
    """Keys of the receipts in the index whose objects are to be judged again: those that were damaged, whose version
    or checksum is not the one that was verified, and, with `hashes`, those with other bytes now of what every build
    reads."""
    rows = partial(_rows_of, written, "receipt_key", "status", "dataset", "stored_sha256")
    unknown = inspector.unknown((_data_key(key), sha256) for key, status, _, sha256 in rows() if status == "stored")
    doubtful = {data_key.removesuffix(_DATA) + _RECEIPT for data_key in unknown}
    hashed: dict[str, str] = {}
    for key, status, dataset, sha256 in rows():
        if status == DAMAGED:
            doubtful.add(key)
        elif hashes and dataset in READ_BY_EVERY_BUILD and status == "stored" and sha256 and key not in doubtful:
            hashed[key] = sha256
    with ThreadPoolExecutor(at_once) as pool:
        found = pool.map(lambda key: inspector.sha256_of(_data_key(key), again=True) == hashed[key], hashed)
        return doubtful | {key for key, is_sound in zip(hashed, found, strict=True) if not is_sound}


def _data_key(receipt_key: str) -> str:
    return receipt_key.removesuffix(_RECEIPT) + _DATA


def _read(store: ObjectStore, found: StoredObject) -> Receipt | None:
    """The listed receipt; None for a torn one, or another object's: the next ingestion of its period replaces it."""
    payload = store.get_bytes(found.key)
    if payload is None:
        raise StorageError(f"{found.key} disappeared while the index was written; run the same command again")
    receipt = readable(payload)
    return receipt if receipt is not None and f"{receipt.folder}/receipt.json" == found.key else None


def _judged(store: ObjectStore, inspector: Inspector, each: _Judged) -> _Judged:
    """The receipt with what is wrong with its object. What is replaced meanwhile is judged as it is then."""
    for _ in range(_MOST_LOOKS):
        fault = inspector.fault(each.folder, each.receipt)
        if fault is None:
            return each
        now = inspector.listed_again(each.folder)
        found = now.get(each.found.key)
        if found is None or found.version == each.found.version:
            # The data may have been listed before it was replaced, and the receipt after.
            return replace(each, fault=inspector.fault(each.folder, each.receipt))
        each = _Judged(found, _read(store, found))
    return replace(each, fault=inspector.fault(each.folder, each.receipt))


def _found_wrong(judged: Sequence[_Judged]) -> Iterator[str]:
    """A sentence for each object that cannot be used, without a full stop."""
    for each in judged:
        if each.receipt is None:
            yield (
                f"{each.found.key} cannot be read, so its period is not covered; `taker run` with its market and days "
                "makes it anew"
            )
        elif each.fault:
            receipt = each.receipt
            what = f"{receipt.market.market_id} {receipt.dataset} {receipt.interval}".rstrip()
            yield (
                f"{what} {receipt.period}: {each.folder}/data.parquet {each.fault}; its days are not covered; "
                f"{remedy(receipt)}"
            )


def _with_current_schema(
    store: ObjectStore, inspector: Inspector, scratch: Path | None, rewriting: Semaphore, each: _Judged
) -> _Judged:
    """The listed receipt, once its object has the current schema. `rewriting` bounds how many are in memory."""
    receipt = each.receipt
    if receipt is None or receipt.status != "stored" or receipt.schema_version >= SCHEMA_VERSION:
        return each
    with rewriting:
        return _rewritten(store, inspector, scratch, each, receipt)


def _rewritten(
    store: ObjectStore, inspector: Inspector, scratch: Path | None, each: _Judged, receipt: Receipt
) -> _Judged:
    """The listed receipt of an object of an older schema, rewritten without loss.

    First the data, then the receipt. A kill in between leaves an older receipt beside current data, which then is only
    read; what it must be was noted before. An object that is replaced meanwhile is left to the next update, and a
    damaged one as it is.
    """
    found = each.found
    data_key, note_key = f"{each.folder}/data.parquet", f"{each.folder}/{_REWRITING}"
    dataset = DATASETS.get(receipt.dataset)
    payload = store.get_bytes(data_key)
    if dataset is None or payload is None:
        return each
    sha256 = hashlib.sha256(payload).hexdigest()
    if sha256 not in (receipt.stored_sha256 or sha256, (store.get_bytes(note_key) or b"").decode("ascii", "replace")):
        return each
    durable = receipt.dataset not in ARCHIVED
    table = pq.read_table(io.BytesIO(payload), partitioning=None)
    if not table.schema.equals(dataset.schema):
        with tempfile.TemporaryDirectory(prefix="taker-", dir=scratch) as made_in:
            target = Path(made_in, "data.parquet")
            write_rows([with_todays_schema(table, dataset)], dataset, None, target)
            payload = target.read_bytes()
            sha256 = hashlib.sha256(payload).hexdigest()
            if readable(store.get_bytes(found.key)) != receipt:
                return each
            store.put_bytes(note_key, sha256.encode(), durable=durable)
            store.put_file(data_key, target, durable=durable)
    receipt = replace(
        receipt,
        schema_version=SCHEMA_VERSION,
        stored_bytes=len(payload),
        stored_sha256=sha256,
    )
    store.put_bytes(found.key, receipt.to_json(), durable=durable)
    store.delete(note_key)
    return _Judged(inspector.listed_again(each.folder)[found.key], receipt)


def _stored(store: ObjectStore, derived: _Derived) -> pa.Table | None:
    """The table as stored; None where it is missing, damaged or has other columns."""
    return read_table(store.get_bytes(derived.key), derived.schema)


def _read_or_set_aside(
    store: ObjectStore, key: str, schema: pa.Schema, notice: Callable[[str], None]
) -> pa.Table | None:
    """A derived table as last written. One that cannot be read is kept under another name: it is made anew."""
    payload = store.get_bytes(key)
    table = read_table(payload, schema)
    if payload is None or table is not None:
        return table
    name = key.rpartition("/")[2].removesuffix(".parquet")
    kept = f"{_SET_ASIDE}/{name}-{hashlib.sha256(payload).hexdigest()[:12]}.parquet"
    store.put_bytes(kept, payload, only_if_absent=True)
    store.delete(key)
    notice(
        f"{key} is damaged, or has the columns of another version; it is kept as {kept}, and was made anew from the "
        "receipts"
    )
    return None


def _write_verified(
    store: ObjectStore, inspector: Inspector, written: pa.Table | None, data_keys: Sequence[str]
) -> None:
    """Remember what was hashed."""
    verified = inspector.verified(data_keys)
    if verified != written:
        store.put_bytes(VERIFIED_KEY, table_bytes(verified))


def _is_current(table: pa.Table) -> bool:
    metadata = table.schema.metadata or {}
    return bool(metadata.get(_SCHEMA_VERSION_NAME) == _INDEX_METADATA[_SCHEMA_VERSION_NAME])


def _write(store: ObjectStore, rows: _Rows, written: pa.Table | None, unchanged: set[str]) -> pa.Table:
    """The table with the rows of changed receipts replaced, and without those of deleted ones."""
    derived = rows.derived
    table = rows.merged(written if written is not None else derived.schema.empty_table(), unchanged)
    if written is None or not table.equals(written, check_metadata=True):
        store.put_bytes(derived.key, table_bytes(table))
    return table
