"""The raw zone: one Parquet object per (dataset, market, period), each with a receipt that says what it is and whence.

Belongs here: keys, receipts, their order of writing (data first, receipt last), the index that dbt reads.
Does not: where rows come from (`ingestion.archive`) or how objects are stored (`ingestion.raw.store`).

A reader trusts only what has a receipt. A receipt that is replaced moves to `history/` beside it, and is never changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.domain.arrow import INSTANT, ROW_GROUP, parquet_writer, with_todays_schema
from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import StorageError
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, days_between
from ingestion.raw.store import ObjectStore, StoredObject
from ingestion.venues import parse_market

INDEX_KEY: Final = "raw/receipts.parquet"
COVERAGE_KEY: Final = "raw/coverage.parquet"
DEFECTS_KEY: Final = "raw/defects.parquet"

# Higher whenever the stored type of a column changes, or a column is added: objects of an older one are then rewritten,
# since an engine that reads many files takes the types of the first, and would round or refuse the others.
SCHEMA_VERSION: Final = 2
_SCHEMA_VERSION_NAME: Final = b"taker.schema_version"


@dataclass(frozen=True, order=True)
class ObjectId:
    """Which raw object: a dataset of a market (at an interval) over one period."""

    dataset: str
    market: Market
    interval: str
    period: Period

    @property
    def folder(self) -> str:
        """Hive partitions, so that every engine reads venue, symbol, interval and day from the path."""
        interval = f"/interval={self.interval}" if self.interval else ""
        return (
            f"raw/{self.dataset}/venue={self.market.venue}/symbol={self.market.symbol}{interval}"
            f"/{self.period.span}={self.period.label}"
        )

    @property
    def data_key(self) -> str:
        return f"{self.folder}/data.parquet"

    @property
    def quarantine_key(self) -> str:
        return f"{self.folder}/_quarantine.parquet"

    @property
    def receipt_key(self) -> str:
        return f"{self.folder}/receipt.json"

    def __str__(self) -> str:
        interval = f" {self.interval}" if self.interval else ""
        return f"{self.market.market_id} {self.dataset}{interval} {self.period.label}"


@dataclass(frozen=True)
class Source:
    """What went into a raw object: a file of the venue's archive, a spool file, a window of its api.

    `rows` as the file had them, defects included.

    `sha256`: of the bytes. The venue published it, unless `fingerprint` says that it did not, and what the server said
    of the file instead: ETag, size and time of change.
    """

    key: str
    sha256: str
    size: int
    rows: int
    fingerprint: str = ""


DefectKind = Literal["quarantined_rows", "replaced_source", "refused_source", "implausible"]


@dataclass(frozen=True)
class Defect:
    """Something published that was not used as it was published.

    `quarantined_rows`: rows set aside and kept beside the data; the rest of the file is used. `replaced_source`: a file
    that could not be used, or not for that day, and what was used instead. `refused_source`: a file that could not be
    used at all, with nothing in its place. `implausible`: the file was read, but what it holds can be no market's flow.

    `reason`: one sentence without a full stop. `day`: the UTC day it concerns, `hour` its hour (`2026-11-26T13`); None
    for all of the period. `rows`: how many. `source_key`, `source_sha256`: the file. `used_instead`: keys of the files
    used in its place, separated by blanks; empty where what was stored before stays in use. `source_fingerprint`: as in
    `Source`; for bytes that differ from their published checksum, that checksum. `judged_by`: version of the decoder
    that could not use the file; another one may.
    """

    kind: DefectKind
    reason: str
    day: date | None = None
    hour: str | None = None
    rows: int = 0
    source_key: str = ""
    source_sha256: str = ""
    used_instead: str = ""
    source_fingerprint: str = ""
    judged_by: int = 0


@dataclass(frozen=True)
class Receipt:
    """What the raw zone holds for one object and how it came to be.

    `status`: `absent` when the venue has no file for any day asked for, `refused` when it has, and nothing of it can be
    used (`defects` says why); then there is no data object. `defects`: what was published and not used so.
    `first_day` to `last_day`: the days asked for so far; `absent_days` of them have no rows. `id_gaps`: ids missing
    between the first and the last. `revision`: 1, and one more each time the venue replaced a file that the object was
    made of. `known_at`: when this state was stored (UTC). `stored_bytes`: size of the Parquet file. `covered_minutes`:
    of what we collected ourselves, minutes of each hour (`2026-11-26T13`) in which a connection was up and answering.
    `is_every_order`: the venue sends every order there is, not at most one a second. `heard_symbols`: per hour, the
    symbols that were listened to, separated by spaces, where it was not every symbol of the venue.
    `malformed_messages`, `misdated_rows`, `torn_bytes`: what was received and could not be used; `lost_messages`: the
    first two, and the rows of `defects`, together, by the hour in which they were received. `schema_version`: whose
    types the Parquet file has.
    """

    dataset: str
    venue: str
    symbol: str
    interval: str
    period: str
    status: Literal["stored", "absent", "refused"]
    first_day: date
    last_day: date
    known_at: datetime
    decoder_version: int
    revision: int = 1
    rows: int = 0
    stored_bytes: int = 0
    day_rows: Mapping[str, int] = field(default_factory=dict)
    absent_days: tuple[date, ...] = ()
    id_gaps: int = 0
    duplicate_rows: int = 0
    zero_rows: int = 0
    out_of_order_rows: int = 0
    first_id: int | None = None
    last_id: int | None = None
    min_at: datetime | None = None
    max_at: datetime | None = None
    sources: tuple[Source, ...] = ()
    stored_sha256: str = ""
    covered_minutes: Mapping[str, int] = field(default_factory=dict)
    is_every_order: bool = False
    heard_symbols: Mapping[str, str] = field(default_factory=dict)
    malformed_messages: int = 0
    misdated_rows: int = 0
    torn_bytes: int = 0
    lost_messages: Mapping[str, int] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def market(self) -> Market:
        return parse_market(f"{self.venue}:{self.symbol}")

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True, default=lambda value: value.isoformat()).encode()

    @classmethod
    def from_json(cls, payload: bytes) -> Receipt:
        raw: dict[str, Any] = json.loads(payload)
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in raw.items() if name in known}
        for name in ("first_day", "last_day"):
            values[name] = date.fromisoformat(values[name])
        for name in ("known_at", "min_at", "max_at"):
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        values["absent_days"] = tuple(date.fromisoformat(day) for day in values["absent_days"])
        values.setdefault("schema_version", 1)
        values["sources"] = tuple(Source(**source) for source in values["sources"])
        values["defects"] = tuple(
            Defect(**{**defect, "day": date.fromisoformat(defect["day"]) if defect["day"] else None})
            for defect in values.get("defects", ())
        )
        return cls(**values)


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
        # So that an unchanged receipt need not be read again.
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
        # Empty: every symbol of the venue. Else a total over the venue is one over these symbols only.
        ("heard_symbols", pa.string()),
        ("known_at", INSTANT),
        ("receipt_key", pa.string()),
    ]
)

_DEFECTS_SCHEMA: Final = pa.schema(
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


class RawZone:
    """The raw zone of one object store. Holds no connection and no state of its own beyond the store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @property
    def url(self) -> str:
        """What dbt gets as `raw_url`: a folder or `s3://…/raw`."""
        return self.store.url("raw")

    def receipt(self, object_id: ObjectId) -> Receipt | None:
        """The object's current receipt; None when it was never asked for."""
        return _readable(self.store.get_bytes(object_id.receipt_key))

    def heard_receipt(self, object_id: ObjectId) -> Receipt | None:
        """The receipt of what cannot be asked for again: StorageError, not None, for one that cannot be read."""
        payload = self.store.get_bytes(object_id.receipt_key)
        receipt = _readable(payload)
        if payload is not None and receipt is None:
            raise StorageError(
                f"{object_id.receipt_key} cannot be read, and without it the hours stored beside it would be "
                "overwritten; restore it from a copy, or delete it and put the day's sealed files back into the spool "
                "(docs/collect.md)"
            )
        return receipt

    def rows(self, object_id: ObjectId) -> pa.Table:
        """The stored rows of one object, under today's schema. StorageError when there are none."""
        payload = self.store.get_bytes(object_id.data_key)
        if payload is None:
            raise StorageError(f"{object_id.data_key} is missing beside its receipt; delete the receipt and run again")
        return with_todays_schema(pq.read_table(io.BytesIO(payload), partitioning=None), DATASETS[object_id.dataset])

    def put(self, object_id: ObjectId, data: Path | None, receipt: Receipt, quarantine: Path | None = None) -> Receipt:
        """Store the object, keep the receipt it replaces, and return the new one with its revision.

        `quarantine`: the rows that were set aside, kept beside the data. Without `data`, what is stored stays.
        """
        held_bytes = self.store.get_bytes(object_id.receipt_key)
        held = _readable(held_bytes)
        if held is not None and held_bytes is not None:
            receipt = replace(receipt, revision=held.revision + _is_corrected(held, receipt))
            if not _only_grew(held, receipt) and not _is_annotated(held, receipt):
                kept = f"{object_id.folder}/history/{held.known_at:%Y%m%dT%H%M%S%fZ}.json"
                self.store.put_bytes(kept, held_bytes, only_if_absent=True)
        # A file of an archive can be had again; what was heard cannot.
        durable = receipt.dataset not in ARCHIVED
        if data is not None:
            receipt = replace(receipt, schema_version=SCHEMA_VERSION)
            self.store.put_file(object_id.data_key, data, durable=durable)
            if quarantine is not None:
                self.store.put_file(object_id.quarantine_key, quarantine, durable=durable)
            elif held is None or _has_quarantine(held):
                self.store.delete(object_id.quarantine_key)
        self.store.put_bytes(object_id.receipt_key, receipt.to_json(), durable=durable)
        return receipt

    def history(self, object_id: ObjectId) -> list[Receipt]:
        """Every receipt the object ever had, oldest first, the current one last."""
        earlier = [self.store.get_bytes(found.key) for found in self.store.list(f"{object_id.folder}/history")]
        payloads = [*earlier, self.store.get_bytes(object_id.receipt_key)]
        return [Receipt.from_json(payload) for payload in payloads if payload]

    def index(self) -> pa.Table:
        """The index as last written: one row per dataset, market, interval and UTC day; empty before that."""
        return self._written(_INDEX)

    def coverage(self) -> pa.Table:
        """What we listened to, as last written: one row per dataset, venue, symbol and hour of what we collected."""
        return self._written(_COVERAGE)

    def defects(self) -> pa.Table:
        """What was published and not used as published, as last written: one row per defect of a current receipt."""
        return self._written(_DEFECTS)

    def write_index(self) -> pa.Table:
        """Bring the index, and the coverage and defects beside it, up to date with the receipts.

        Reads only those receipts that changed since it was last written. Objects of an older schema are rewritten
        first, so that all that the index names has one schema.
        """
        listed = self._receipts_listed()
        written = self.index()
        versions = dict(zip(written["receipt_key"].to_pylist(), written["receipt_version"].to_pylist(), strict=True))
        # A table beside the index that is missing, or of an older version, is made from every receipt, and so are all.
        anew = any(self._held(beside) is None for beside in _BESIDE_THE_INDEX)
        anew = (
            anew or (written.schema.metadata or {}).get(_SCHEMA_VERSION_NAME) != _INDEX_METADATA[_SCHEMA_VERSION_NAME]
        )
        changed = [found for found in listed if anew or versions.get(found.key) != found.version]
        if not changed and len(versions) == len(listed):
            return written
        still_true = {found.key for found in listed} - {found.key for found in changed}
        with ThreadPoolExecutor(16) as pool:
            read = list(zip(changed, pool.map(self._read, changed), strict=True))
        with ThreadPoolExecutor(_REWRITTEN_AT_ONCE) as pool:
            read = list(pool.map(lambda each: self._of_todays_schema(*each), read))
        for beside in _BESIDE_THE_INDEX:
            self._write_derived(beside, read, still_true)
        return self._write_derived(_INDEX, read, still_true)

    def _receipts_listed(self) -> list[StoredObject]:
        return [found for found in self.store.list("raw") if found.key.endswith("/receipt.json")]

    def _read(self, found: StoredObject) -> Receipt | None:
        """The listed receipt; None for one that is torn: the next ingestion of its period writes it anew."""
        payload = self.store.get_bytes(found.key)
        if payload is None:
            raise StorageError(f"{found.key} disappeared while the index was written; run the same command again")
        return _readable(payload)

    def _of_todays_schema(self, found: StoredObject, receipt: Receipt | None) -> tuple[StoredObject, Receipt | None]:
        """The listed receipt, once its object has today's schema: rewritten without loss where it had an older one.

        First the data, then the receipt. A kill in between leaves an older receipt beside data of today, which is then
        only read; an object that is replaced meanwhile is left to the next time.
        """
        if receipt is None or receipt.status != "stored" or receipt.schema_version >= SCHEMA_VERSION:
            return found, receipt
        folder = found.key.removesuffix("/receipt.json")
        data_key = f"{folder}/data.parquet"
        dataset = DATASETS.get(receipt.dataset)
        payload = self.store.get_bytes(data_key)
        if dataset is None or payload is None:
            return found, receipt
        durable = receipt.dataset not in ARCHIVED
        table = pq.read_table(io.BytesIO(payload), partitioning=None)
        if not table.schema.equals(dataset.schema):
            with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
                target = Path(scratch, "data.parquet")
                with parquet_writer(dataset.schema, target) as writer:
                    writer.write_table(with_todays_schema(table, dataset), row_group_size=ROW_GROUP)
                if _readable(self.store.get_bytes(found.key)) != receipt:
                    return found, receipt
                self.store.put_file(data_key, target, durable=durable)
                payload = target.read_bytes()
        receipt = replace(
            receipt,
            schema_version=SCHEMA_VERSION,
            stored_bytes=len(payload),
            stored_sha256=hashlib.sha256(payload).hexdigest(),
        )
        self.store.put_bytes(found.key, receipt.to_json(), durable=durable)
        return next(each for each in self.store.list(folder) if each.key == found.key), receipt

    def _written(self, derived: _Derived) -> pa.Table:
        held = self._held(derived)
        return held if held is not None else derived.schema.empty_table()

    def _held(self, derived: _Derived) -> pa.Table | None:
        """The derived table as stored; None where it is missing or of an older version."""
        payload = self.store.get_bytes(derived.key)
        if payload is None:
            return None
        table = pq.read_table(io.BytesIO(payload))
        return table if table.schema.equals(derived.schema) else None

    def _write_derived(
        self, derived: _Derived, changed: Sequence[tuple[StoredObject, Receipt | None]], still_true: set[str]
    ) -> pa.Table:
        held = self._held(derived)
        written = held if held is not None else derived.schema.empty_table()
        kept = written.filter(pc.is_in(written["receipt_key"], value_set=pa.array(sorted(still_true), pa.string())))
        rows = [row for found, receipt in changed if receipt for row in derived.rows_of(found, receipt)]
        is_of_today = (written.schema.metadata or {}).get(_SCHEMA_VERSION_NAME) == _INDEX_METADATA[_SCHEMA_VERSION_NAME]
        if held is not None and is_of_today and not rows and kept.num_rows == written.num_rows:
            return held
        table = pa.concat_tables([kept, pa.Table.from_pylist(rows, schema=derived.schema)])
        table = table.sort_by([(name, "ascending") for name in derived.order])
        table = table.replace_schema_metadata(_INDEX_METADATA)
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.store.put_bytes(derived.key, buffer.getvalue())
        return table


# Written with the index: whose schema every object has that it names.
_INDEX_METADATA: Final = {_SCHEMA_VERSION_NAME: str(SCHEMA_VERSION).encode()}
_REWRITTEN_AT_ONCE: Final = 4


def _index_rows(found: StoredObject, receipt: Receipt) -> list[dict[str, Any]]:
    market = receipt.market
    # A file of a day is that day, also when its last label is the first instant of the next one.
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
        # Files of a delivered contract may go on; what was stored of them before that was known is not used.
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
            "heard_symbols": receipt.heard_symbols.get(hour, ""),
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
    """The instant of an hour as receipts write it, `2026-11-26T13`."""
    return datetime.strptime(f"{hour} +0000", "%Y-%m-%dT%H %z")


@dataclass(frozen=True)
class _Derived:
    """A table made of the receipts: its key, its columns, the rows that one receipt gives, the order of all rows."""

    key: str
    schema: pa.Schema
    rows_of: Callable[[StoredObject, Receipt], list[dict[str, Any]]]
    order: tuple[str, ...]


_INDEX: Final = _Derived(INDEX_KEY, _INDEX_SCHEMA, _index_rows, ("dataset", "market_id", "interval", "day"))
_COVERAGE: Final = _Derived(COVERAGE_KEY, _COVERAGE_SCHEMA, _coverage_rows, ("dataset", "venue", "symbol", "hour_at"))
_DEFECTS: Final = _Derived(
    DEFECTS_KEY,
    _DEFECTS_SCHEMA,
    _defect_rows,
    ("dataset", "market_id", "interval", "period", "day", "hour_at", "kind", "source_key", "reason"),
)
_BESIDE_THE_INDEX: Final = (_COVERAGE, _DEFECTS)


def _readable(payload: bytes | None) -> Receipt | None:
    """The receipt, or None for one that is missing or torn: what it stands for is then ingested again."""
    if not payload:
        return None
    try:
        return Receipt.from_json(payload)
    except (ValueError, KeyError, TypeError):
        return None


def _is_corrected(held: Receipt, receipt: Receipt) -> bool:
    """A file that the held object was made of has other bytes now. A new day of a month, or a late one, is none."""
    before = {source.key: source.sha256 for source in held.sources}
    return any(before.get(source.key, source.sha256) != source.sha256 for source in receipt.sources)


def _is_annotated(held: Receipt, receipt: Receipt) -> bool:
    """The same state of the object, of which more is known: a later file of the venue could not be used."""
    return receipt == replace(held, defects=receipt.defects)


def _has_quarantine(held: Receipt) -> bool:
    return any(defect.kind == "quarantined_rows" for defect in held.defects)


def _only_grew(held: Receipt, receipt: Receipt) -> bool:
    """What we collect ourselves grows by the hour: as long as nothing of it was replaced, the last state says all."""
    sources = {(source.key, source.sha256) for source in receipt.sources}
    return receipt.dataset not in ARCHIVED and all((source.key, source.sha256) in sources for source in held.sources)
