"""Notes of what writers are about to store, so that an update of the index can list these parts of the zone alone.

Belongs here: the notes, and the parts of the zone that they name. Does not: the update (`ingestion.raw.index`), which
objects are stored (`ingestion.raw.zone`).

A part is a month of a dataset of a market: the objects whose keys begin with
`raw/<dataset>/venue=…/symbol=…/date=2024-08` (or `…/month=2024-08`). Before a writer stores an object it puts an empty
object whose key names the part, once in ten minutes. An update lists the notes and the parts that they name. It does
not know whether a writer has ended, so a note stays for two hours, and each update within them lists its part again:
the one that removes it has listed the part after any writer of that note has stored its object or died.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.errors import StorageError
from ingestion.raw.names import days_of, month_of
from ingestion.raw.store import ObjectStore, StoredObject

_NOTES: Final = "notes/stored"
# The day on which an update last listed everything, for the first time with notes from every writer.
_LISTED: Final = "notes/listed"
_NOTED_AGAIN: Final = timedelta(minutes=10)
KEPT: Final = timedelta(hours=2)
LISTED_EVERY: Final = timedelta(days=7)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
# Of the key of any object of a period: its part, and what follows.
_PART: Final = r"^(.*/(?:date|month)=\d{4}-\d\d).*$"


def utc_now() -> datetime:
    return datetime.now(UTC)


def part_of(key: str) -> str:
    """The part of the zone that an object, or the folder of a period, is in."""
    return re.sub(_PART, r"\1", key)


class Noting:
    """The notes of one writer. Safe to share between threads."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._noted: dict[str, datetime] = {}
        self._writer = uuid.uuid4().hex[:12]
        self._lock = threading.Lock()

    def before(self, folder: str) -> None:
        """Note that an object in this folder is about to be stored or removed, unless that was noted just now."""
        part, now = part_of(folder), utc_now()
        with self._lock:
            noted = self._noted.get(part)
        if noted is None or now - noted >= _NOTED_AGAIN:
            self._store.put_bytes(f"{_NOTES}/{now:{_STAMP}}-{self._writer}/{quote(part, safe='')}", b"")
            with self._lock:
                self._noted[part] = now


def noted(store: ObjectStore) -> dict[str, str]:
    """The notes that there are: by key, the part that each names."""
    found = (each.key for each in store.list(_NOTES))
    return {key: unquote(key.rpartition("/")[2]) for key in found}


def sweep_noted(store: ObjectStore, parts: Iterable[str]) -> None:
    """Remove what killed writers left in these parts of objects that they never put in place, and in the folder of the
    zone itself."""
    store.sweep_beginning(("raw/.", *parts))


def forget(store: ObjectStore, notes: Mapping[str, str]) -> None:
    """Remove those of the notes (by key, the part that each names) that are so old that their writers have ended, and
    what killed writers left there: nothing else states where that may be, and to look everywhere costs as much
    as to list the zone."""
    oldest = f"{utc_now() - KEPT:{_STAMP}}"
    old = [key for key in notes if key.split("/")[2] < oldest]
    sweep_noted(store, (notes[key] for key in old))
    with ThreadPoolExecutor(store.at_once) as pool:
        for _ in pool.map(store.delete, old):
            pass


def everything_is_due(store: ObjectStore) -> bool:
    """Whether no update has listed the whole zone within a week, or none ever since there are notes."""
    try:
        listed = date.fromisoformat((store.get_bytes(_LISTED) or b"").decode())
    except (ValueError, UnicodeDecodeError):
        return True
    return utc_now().date() - listed >= LISTED_EVERY


def note_everything_listed(store: ObjectStore, on: date) -> None:
    """An update that began on this day has listed the whole zone."""
    text = on.isoformat().encode()
    if store.get_bytes(_LISTED) != text:
        store.put_bytes(_LISTED, text)


def list_parts(store: ObjectStore, parts: Collection[str]) -> list[StoredObject]:
    """The objects of these parts, in key order. StorageError."""
    for part in parts:
        if not re.fullmatch(_PART, part):
            raise StorageError(
                f"{store.url(_NOTES)} has a note of `{part}`, which is no part of the raw zone; remove it"
            )
    with ThreadPoolExecutor(store.at_once) as pool:
        return sorted(each for found in pool.map(store.list_beginning, sorted(set(parts))) for each in found)


def with_merged(parts: Collection[str], index: pa.Table) -> frozenset[str]:
    """The parts, and of those that the index has: the months that their days were merged into, and the days of such
    months. Which of them an index takes a day from is known from both. (A month that is not in the index is noted.)"""
    twins = {twin for part in parts for twin in (month_of(part), days_of(part)) if twin}
    if twins and index.num_rows:
        twins &= set(pc.unique(_parts_of(index["receipt_key"])).to_pylist())
    return frozenset(parts) | (twins if index.num_rows else set())


def _parts_of(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(keys, pattern=_PART, replacement=r"\1")


def split(table: pa.Table, column: str, parts: Collection[str] | None) -> tuple[pa.Table, pa.Table]:
    """The rows whose key in `column` is in one of the parts, and the others; all and none for None."""
    if parts is None or not table.num_rows:
        return table, table.slice(0, 0)
    is_inside = pc.is_in(_parts_of(table[column]), value_set=pa.array(sorted(parts), pa.string()))
    return table.filter(is_inside), table.filter(pc.invert(is_inside))
