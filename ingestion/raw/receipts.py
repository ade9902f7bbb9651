"""Receipts: what the raw zone holds for one object, and how it came to be.

Belongs here: the identity and keys of an object, the form of a receipt and of its parts, building one, and how one
receipt follows another.
Does not: reading or storing them (`ingestion.raw.zone`), tables of them (`ingestion.raw.index`).

The JSON of a receipt is a contract: a field may be added, none renamed or removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ingestion.decode.parquet import Decoded
from ingestion.domain.datasets import ARCHIVED
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.raw.names import DATA, RECEIPT
from ingestion.venues import parse_market

# Attributes whose field on disk has an older name.
_NAMES_ON_DISK: Final = {"subscribed_symbols": "heard_symbols"}
# Higher whenever the stored type of a column changes, or a column is added: objects of an older one are then rewritten,
# since an engine that reads many files uses the types of the first, and would round or refuse the others.
SCHEMA_VERSION: Final = 2


def series_folder(dataset: str, market: Market, interval: str) -> str:
    """The folder that holds all periods of a dataset of a market (at an interval)."""
    at = f"/interval={interval}" if interval else ""
    return f"raw/{dataset}/venue={market.venue}/symbol={market.symbol}{at}"


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
        return f"{series_folder(self.dataset, self.market, self.interval)}/{self.period.partition}"

    @property
    def data_key(self) -> str:
        return self.folder + DATA

    @property
    def quarantine_key(self) -> str:
        return f"{self.folder}/_quarantine.parquet"

    @property
    def receipt_key(self) -> str:
        return self.folder + RECEIPT

    def __str__(self) -> str:
        interval = f" {self.interval}" if self.interval else ""
        return f"{self.market.market_id} {self.dataset}{interval} {self.period.label}"


@dataclass(frozen=True)
class Source:
    """What a raw object was made of: a file of the venue's archive, a spool file, a window of its REST API.

    `rows`: of the file, faulty ones included. `sha256`: of the bytes, as the venue published it; where it published
    none, `fingerprint` is what the server reported of the file instead: ETag, size and time of change.
    """

    key: str
    sha256: str
    size: int
    rows: int
    fingerprint: str = ""


Status = Literal["stored", "absent", "refused"]
DefectKind = Literal["quarantined_rows", "replaced_source", "refused_source", "implausible", "damaged_object"]
_STATUSES: Final = frozenset(get_args(Status))
# The field of the sha256 of all others: a flipped bit in a receipt would else be another fact.
_OWN_SHA256: Final = "receipt_sha256"
_OWN_LINE: Final = b'\n "receipt_sha256": "%b",'


@dataclass(frozen=True)
class Defect:
    """Something published that was not used as it was published.

    `quarantined_rows`: rows set aside and kept beside the data; the rest of the file is used. `replaced_source`: a file
    that could not be used, or not for that day, and what was used instead. `refused_source`: a file that could not be
    used at all, with nothing in its place. `implausible`: the file was read, but its trades cannot be a market's flow.

    `reason`: one sentence without a full stop. `day`: the UTC day it concerns, `hour` its hour (`2026-11-26T13`); None
    for all of the period. `rows`: how many. `source_key`, `source_sha256`: the file. `used_instead`: keys of the files
    used in its place, separated by blanks; empty where what was stored before stays in use. `source_fingerprint`: as in
    `Source`; for bytes that differ from their published checksum, that checksum. `judged_by`: version of the decoder
    that could not use the file; another version may.
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
class _Stored:
    """The base of a receipt: which object, in which state, made of which sources.

    `status`: `absent` when the venue has no file for any requested day, `refused` when it has one that cannot be used
    (`defects` states why); then there is no data object. `first_day` to `last_day`: the days requested so far;
    `absent_days` of them have no rows. `id_gaps`: ids missing between the first and the last. `revision`: 1, and one
    more each time the venue replaced a file that the object was made of. `known_at`: when this state was stored (UTC).
    `stored_bytes`: size of the Parquet file. `schema_version`: the types of the Parquet file.
    """

    dataset: str
    venue: str
    symbol: str
    interval: str
    period: str
    status: Status
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
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class _Coverage:
    """The part of a receipt that only collected objects have: what was subscribed to, and what was lost.

    `covered_minutes`: minutes of each hour (`2026-11-26T13`) in which a connection of any collector was up and
    answering; `which_minutes`: the same as bits in hexadecimal digits, minute 0 the lowest, so that a minute which two
    collectors have covered counts once.
    `is_every_order`: the venue sends every order, not at most one a second. `subscribed_symbols` (`heard_symbols` on
    disk): per hour, the subscribed symbols, separated by spaces, where it was not every symbol of the venue.
    `malformed_messages`, `misdated_rows`, `torn_bytes`: what was received and could not be used; `lost_messages`: the
    first two, and the rows of `defects`, together, by the hour in which they were received.
    """

    covered_minutes: Mapping[str, int] = field(default_factory=dict)
    which_minutes: Mapping[str, str] = field(default_factory=dict)
    is_every_order: bool = False
    subscribed_symbols: Mapping[str, str] = field(default_factory=dict)
    malformed_messages: int = 0
    misdated_rows: int = 0
    torn_bytes: int = 0
    lost_messages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt(_Coverage, _Stored):
    """What the raw zone holds for one object and how it came to be. `defects`: what was published and not used so.

    `merged`: of a month that was made of the objects of its days, their receipts as they were, by day. It has no
    sources and defects of its own. `within`: of such a day, the month's receipt, which states the stored object; it is
    no part of what is compared or written.
    """

    defects: tuple[Defect, ...] = ()
    merged: tuple[Receipt, ...] = ()
    within: Receipt | None = field(default=None, compare=False, repr=False)

    @property
    def market(self) -> Market:
        return _market_of(f"{self.venue}:{self.symbol}")

    @property
    def folder(self) -> str:
        """Where the object lies, as `ObjectId.folder` states it."""
        interval = f"/interval={self.interval}" if self.interval else ""
        span = "date" if len(self.period) == len("2024-08-08") else "month"
        return f"raw/{self.dataset}/venue={self.venue}/symbol={self.symbol}{interval}/{span}={self.period}"

    def to_json(self) -> bytes:
        values = _values(self)
        without = _as_json(values)
        # The fields are sorted, so this one has its line before the first that follows it.
        place = without.index(b'\n "%b":' % min(name for name in values if name > _OWN_SHA256).encode())
        return without[:place] + _OWN_LINE % hashlib.sha256(without).hexdigest().encode() + without[place:]

    def of_day(self, folder: str) -> Receipt | None:
        """Of a merged month, the receipt of the day whose object lay in that folder; None for any other."""
        return next((replace(day, within=self) for day in self.merged if day.folder == folder), None)

    @classmethod
    def from_json(cls, payload: bytes) -> Receipt:
        """ValueError, KeyError or TypeError for what is no receipt, or not as it was written."""
        raw: dict[str, Any] = json.loads(payload)
        stated = raw.pop(_OWN_SHA256, None)  # older receipts have none
        if stated is not None and not _is_as_written(payload, stated, raw):
            raise ValueError("the receipt's bytes have changed")
        return cls._of_values(raw)

    @classmethod
    def _of_values(cls, raw: Mapping[str, Any]) -> Receipt:
        if raw["status"] not in _STATUSES:
            raise ValueError(f"{raw['status']} is no status of a receipt")
        values = {_NAMES[name]: value for name, value in raw.items() if name in _NAMES}
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
        values["merged"] = tuple(cls._of_values(day) for day in values.get("merged", ()))
        return cls(**values)


_NAMES: Final = {_NAMES_ON_DISK.get(each.name, each.name): each.name for each in fields(Receipt) if each.compare}
# A zone has thousands of receipts of a market.
_market_of: Final = lru_cache(1 << 12)(parse_market)


def _values(receipt: Receipt) -> dict[str, Any]:
    """The fields as they are written. Most objects were not merged: those without a list of days have none."""
    values = {on_disk: getattr(receipt, name) for on_disk, name in _NAMES.items() if name != "merged"}
    return {**values, "merged": [_values(day) for day in receipt.merged]} if receipt.merged else values


def _is_as_written(payload: bytes, stated: str, values: Mapping[str, Any]) -> bool:
    """Whether `stated` is the sha256 of all other fields: of the bytes without that line, or, where another program
    laid them out, of the `values` as this one writes them, which takes ten times as long."""
    without = payload.replace(_OWN_LINE % stated.encode(), b"", 1)
    return hashlib.sha256(without).hexdigest() == stated or hashlib.sha256(_as_json(values)).hexdigest() == stated


def _as_json(values: Mapping[str, Any]) -> bytes:
    return _laid_out(values).encode()


def _laid_out(value: Any) -> str:
    """What `json.dumps` makes of it with `indent=1` and `sort_keys=True`, for which it has no fast encoder: a run may
    write tens of thousands of receipts of absent files."""
    if isinstance(value, Source | Defect):
        value = vars(value)
    if isinstance(value, Mapping):
        lines, begin, end = [f"{_encode(name)}: {_laid_out(value[name])}" for name in sorted(value)], "{", "}"
    elif isinstance(value, list | tuple):
        lines, begin, end = [_laid_out(each) for each in value], "[", "]"
    elif value is None:
        return "null"
    else:
        return str(value) if type(value) is int else _encode(value)
    if not lines:
        return begin + end
    # No text has a line break: in JSON it is written as an escape.
    inside = ",\n".join(lines).replace("\n", "\n ")
    return f"{begin}\n {inside}\n{end}"


_encode: Final = json.JSONEncoder(default=lambda value: value.isoformat()).encode


def receipt_of(
    object_id: ObjectId,
    *,
    now: datetime,
    version: int,
    days: tuple[date, date] | None = None,
    status: Status = "stored",
    found: Decoded | None = None,
    data: Path | None = None,
    sources: Iterable[Source] = (),
    **more: Any,
) -> Receipt:
    """The receipt of an object: its identity, the counts `found` while it was made, the size and checksum of `data`.

    `days`: the first and the last that were requested (default: all of the period). `more`: other fields of the
    receipt; they take precedence.
    """
    first_day, last_day = days or (object_id.period.first_day, object_id.period.last_day)
    values: dict[str, Any] = {
        "dataset": object_id.dataset,
        "venue": object_id.market.venue,
        "symbol": object_id.market.symbol,
        "interval": object_id.interval,
        "period": object_id.period.label,
        "status": status,
        "first_day": first_day,
        "last_day": last_day,
        "known_at": now,
        "decoder_version": version,
        "sources": tuple(sources),
    }
    if found is not None:
        counts = ("rows", "id_gaps", "duplicate_rows", "zero_rows", "out_of_order_rows")
        bounds = ("first_id", "last_id", "min_at", "max_at")
        values |= {name: getattr(found, name) for name in (*counts, *bounds)}
        values["day_rows"] = {day.isoformat(): rows for day, rows in found.day_rows.items()}
    if data is not None:
        values |= {"stored_bytes": data.stat().st_size, "stored_sha256": sha256_of(data)}
    return Receipt(**{**values, **more})


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(payload: bytes | None) -> Receipt | None:
    """The receipt, or None for a missing or torn one: its object is then ingested again."""
    if not payload:
        return None
    try:
        return Receipt.from_json(payload)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_corrected(held: Receipt, receipt: Receipt) -> bool:
    """A file that the held object was made of has other bytes now. A new or late day of a month is no correction."""
    before = {source.key: source.sha256 for source in held.sources}
    return any(before.get(source.key, source.sha256) != source.sha256 for source in receipt.sources)


def is_annotated(held: Receipt, receipt: Receipt) -> bool:
    """The same object with other defects: a later file of the venue could not be used."""
    return receipt == replace(held, defects=receipt.defects)


def has_quarantine(held: Receipt) -> bool:
    return any(defect.kind == "quarantined_rows" for defect in held.defects)


def only_grew(held: Receipt, receipt: Receipt) -> bool:
    """Collected objects grow by the hour: unless a source was replaced, the new state contains the earlier ones."""
    sources = {(source.key, source.sha256) for source in receipt.sources}
    return receipt.dataset not in ARCHIVED and all((source.key, source.sha256) in sources for source in held.sources)
