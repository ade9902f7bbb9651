"""Tables of all receipts, which dbt reads: the index, and beside it coverage and defects.

Longer than 400 lines: what they would be now is read by the same steps, without writing.

Belongs here: bringing them up to date with the receipts and with what is really stored. Does not: their columns and
rows (`ingestion.raw.tables`), one receipt and its object (`ingestion.raw.judged`), whether an object is as its receipt
states (`ingestion.raw.soundness`).
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from threading import Semaphore
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.errors import StorageError
from ingestion.raw.durable import Outrun
from ingestion.raw.judged import Judged, by_day, found_wrong, judged_again, read, with_current_schema
from ingestion.raw.names import (
    DATA,
    FORMER_RECEIPT,
    OF_AN_OBJECT,
    RECEIPT,
    WITHOUT_DATA,
    by_present_key,
    data_key,
    days_of,
    month_of,
    present_key,
    rename,
)
from ingestion.raw.notes import (
    everything_is_due,
    forget,
    list_parts,
    note_everything_listed,
    noted,
    split,
    utc_now,
    with_merged,
)
from ingestion.raw.ordered import with_rows, without
from ingestion.raw.receipts import SCHEMA_VERSION
from ingestion.raw.soundness import (
    READ_BY_EVERY_BUILD,
    VERIFIED_KEY,
    VERIFIED_SCHEMA,
    Inspector,
    read_table,
    table_bytes,
)
from ingestion.raw.store import ObjectStore, StoredObject
from ingestion.raw.tables import ABSENT, BESIDE_THE_INDEX, DAMAGED, DEFECTS, INDEX, TABLES, Derived

_SCHEMA_VERSION_NAME: Final = b"taker.schema_version"
# Written with the index: the schema version of every object in it.
_INDEX_METADATA: Final = {_SCHEMA_VERSION_NAME: str(SCHEMA_VERSION).encode()}
_REWRITTEN_AT_ONCE: Final = 4
_READ_IN_A_ROW: Final = 32
_ROWS_AT_ONCE: Final = 1 << 12
# Each attempt that fails is an update of another process that succeeded.
_MOST_ATTEMPTS: Final = 16
_LONGEST_PAUSE: Final = 3.0
_SET_ASIDE: Final = "raw/set_aside"


def table_of(store: ObjectStore, derived: Derived, columns: Sequence[str] | None = None) -> pa.Table:
    """The table as last written, or these columns of it; empty before that, and where it cannot be read: the next
    update makes it anew."""
    stored = _stored(store, derived, columns)
    if stored is not None:
        return stored
    empty = derived.schema.empty_table()
    return empty if columns is None else empty.select(columns)


def update(
    store: ObjectStore,
    scratch: Path | None = None,
    *,
    rehashes: bool = False,
    notice: Callable[[str], None] = lambda text: None,
    only_noted: bool = False,
) -> pa.Table:
    """Bring the three tables up to date with the receipts and with what is stored; returns the index.

    Reads only those receipts that changed since it was last written, and hashes only objects whose version was not
    hashed before, or that every build reads; with `rehashes`, every object. Objects of an older schema are rewritten
    first, so that all objects in the index have one schema. `notice` gets what was found wrong, a sentence each.

    `only_noted`: of the zone, only the parts that writers have noted are listed (`ingestion.raw.notes`). What was lost,
    damaged or stored by anything else in other parts is found by the update that lists everything: once a week, with
    `rehashes`, and where a table is missing or of another version.

    Others may update the tables meanwhile, on this machine and elsewhere: nothing that they wrote is lost.
    """
    noticed: set[str] = set()
    if rehashes:  # it reads everything anyway: also what no note speaks of
        store.sweep("raw")

    def notice_once(text: str) -> None:
        if text not in noticed:
            noticed.add(text)
            notice(text)

    for attempt in range(_MOST_ATTEMPTS):
        try:
            return _update(store, scratch, rehashes, notice_once, only_noted)
        except Outrun:
            # As many updates as are at work at once: at other moments than theirs.
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.05 * 2**attempt)))
    raise StorageError(
        f"other processes wrote {store.url(INDEX.key)} {_MOST_ATTEMPTS} times while this one brought it up to date; "
        "run the same command again when fewer of them are at work"
    )


def _update(
    store: ObjectStore, scratch: Path | None, rehashes: bool, notice: Callable[[str], None], only_noted: bool
) -> pa.Table:
    """As `update`, once; Outrun where another process wrote one of the tables after this one read them.

    The index is read first and written last: where another process's index was read, what it wrote before that was too.
    The zone is listed after that, so that every receipt is seen which that process saw. Longer than 50 lines: their
    order is what keeps anything from being lost.
    """
    began_on = utc_now().date()
    held, *others = (_read_or_set_aside(store, each.key, each.schema, notice) for each in TABLES)
    of_verified = _read_or_set_aside(store, VERIFIED_KEY, VERIFIED_SCHEMA, notice)
    tables = [held, *others]
    index = held.table if held.table is not None else INDEX.schema.empty_table()
    # After the tables were read: what another update removed of the notes is in them.
    notes = noted(store)
    is_whole = not only_noted or rehashes or any(each.table is None for each in (*tables, of_verified))
    is_whole = is_whole or not _is_current(index) or everything_is_due(store)
    parts = None if is_whole else with_merged(set(notes.values()), index)
    if parts is not None and not parts:
        return index
    written, _ = split(index, "receipt_key", parts)
    listing, former = _listing(store, written, parts)
    if former:
        rename(store, former)
        notice(
            f"{len(former):,} receipts were renamed from receipt.json to _receipt.json, which readers of whole folders "
            "leave out; older versions of Taker do not know the new name"
        )
        listing, _ = _listing(store, written, parts)
    listed = [found for key, found in listing.items() if key.endswith(RECEIPT)]
    hashed, elsewhere = split(_or_none(of_verified), "data_key", parts)
    inspector = Inspector(
        store, listing, rehashes=rehashes, remembered=hashed if of_verified.table is not None else None
    )
    as_listed, gone = _as_listed(listing, written)
    # Where a table is missing, or of an older version, all of them are built from every receipt.
    is_rebuilt = any(each.table is None for each in others) or not _is_current(written)
    doubtful = _doubtful(inspector, written, store.at_once)
    unchanged = set() if is_rebuilt else as_listed - doubtful
    unchanged -= _months_of([*gone, *(found.key for found in listed if found.key not in unchanged)])
    changed = [found for found in listed if found.key not in unchanged]
    if not changed and not gone and not any(each.is_damaged for each in tables):
        _done(store, notes, parts, began_on)
        return index
    anew = [_Rows(derived) for derived in TABLES]
    for judged in _examined(store, inspector, scratch, changed):
        for text in found_wrong(judged):
            notice(text)
        for rows in anew:
            rows.add(by_day(judged, listing))
    replaced = gone.union(found.key for found in changed)
    for each in others:  # a killed update may have left rows there of receipts that the index never had
        if each.table is not None:
            known = pc.unique(split(each.table, "receipt_key", parts)[0]["receipt_key"]).to_pylist()
            replaced.update(key for key in known if key not in listing)
    verified = inspector.verified(data_key(found.key) for found in listed)
    verified = with_rows(elsewhere, verified, ("data_key",)) if elsewhere.num_rows else verified
    _replace(store, VERIFIED_KEY, verified, of_verified)
    *_, index = (
        _replace(store, rows.derived.key, rows.merged(None if is_rebuilt else each.table, replaced), each)
        # The index last: with it, the others are up to date.
        for rows, each in reversed(list(zip(anew, tables, strict=True)))
    )
    _done(store, notes, parts, began_on)
    return index


def _done(store: ObjectStore, notes: Mapping[str, str], parts: Collection[str] | None, began_on: date) -> None:
    """What this update listed need not be listed for the old notes again."""
    if parts is None:
        note_everything_listed(store, began_on)
    forget(store, notes)


def _listing(
    store: ObjectStore, written: pa.Table, parts: Collection[str] | None = None
) -> tuple[dict[str, StoredObject], list[str]]:
    """The objects of the zone, or of these parts of it, by key, of those in the index at least the data and the
    receipt, as `by_present_key` gives them.

    An object that the index has as absent has no data as long as its receipt is the same: most objects of a large zone
    may be such, and to look for a file that is not there costs as much as to look at one that is.
    """
    if parts is not None:
        return by_present_key(list_parts(store, parts))
    known: dict[str, Sequence[str]] = {}
    versions: dict[str, str] = {}
    for key, version, status in _rows_of(written, "receipt_key", "receipt_version", "status"):
        if key.endswith(RECEIPT):
            folder = key.removesuffix(RECEIPT)
            versions[folder] = version
            if status != ABSENT:
                known[folder] = OF_AN_OBJECT
            else:
                known.setdefault(folder, WITHOUT_DATA)
    listed, former = by_present_key(store.list("raw", only=known))
    for folder, names in known.items():
        found = listed.get(folder + RECEIPT)
        # What was restored from an old copy has the former name, which was not looked for.
        if found is None or (names is WITHOUT_DATA and found.version != versions[folder]):
            others, more = by_present_key(store.list(folder))
            listed |= others
            former += [key for key in more if key not in former]
    return listed, former


def _as_listed(listing: Mapping[str, StoredObject], written: pa.Table) -> tuple[set[str], set[str]]:
    """Keys of the receipts that are listed as the index has them, and of those that are not listed at all."""
    same, gone = set(), set()
    for key, version in _rows_of(written, "receipt_key", "receipt_version"):
        found = listing.get(key)
        if found is None:
            gone.add(key)
        elif found.version == version:
            same.add(found.key)
    return same, gone


def _months_of(keys: Iterable[str]) -> set[str]:
    """Keys of the receipts of months into which the days of these receipts may have been merged: which of its days a
    month still has depends on which have objects of their own."""
    months = (month_of(key.removesuffix(RECEIPT)) for key in keys)
    return {month + RECEIPT for month in months if month}


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
) -> Iterator[list[Judged]]:
    """The changed receipts, a few hundred at once, each with what is wrong with its object.

    A thread takes several in a row: handing over each of them costs more than to read it.
    """
    rewriting = Semaphore(_REWRITTEN_AT_ONCE)

    def examine(some: Sequence[StoredObject]) -> list[Judged]:
        found = [Judged(each, read(store, each)) for each in some]
        found = [with_current_schema(store, inspector, scratch, rewriting, each) for each in found]
        return [judged_again(store, inspector, each) for each in found]

    in_a_row = max(1, min(_READ_IN_A_ROW, len(changed) // store.at_once))
    at_once = in_a_row * store.at_once
    with ThreadPoolExecutor(store.at_once) as pool:
        for first in range(0, len(changed), at_once):
            some = changed[first : first + at_once]
            parts = pool.map(examine, [some[start : start + in_a_row] for start in range(0, len(some), in_a_row)])
            yield [each for part in parts for each in part]


class _Rows:
    """The rows of one table that changed receipts give, without their receipts."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self._tables: list[pa.Table] = []

    def add(self, judged: Sequence[Judged]) -> None:
        rows = [row for one in judged if one.receipt for row in self.derived.rows_of(one.found, one.receipt, one.fault)]
        if rows:
            self._tables.append(pa.Table.from_pylist(rows, schema=self.derived.schema))

    def merged(self, written: pa.Table | None, replaced: set[str]) -> pa.Table:
        """With those of `written` whose receipts are not `replaced`, in the table's order."""
        table = written if written is not None else self.derived.schema.empty_table()
        table = without(table, "receipt_key", replaced)
        new = pa.concat_tables([self.derived.schema.empty_table(), *self._tables])
        return with_rows(table, new, self.derived.order).replace_schema_metadata(_INDEX_METADATA)


@dataclass(frozen=True)
class Listed:
    """The zone at one moment. `objects`: by key, a receipt under its present name whatever it is called; of each object
    in the index at least the data and the receipt. `former`: the keys of receipts that have the former name.

    `parts`: those that were listed, None for all. `elsewhere`: by key, the versions in other parts, as the tables have
    them.
    """

    objects: dict[str, StoredObject]
    former: list[str]
    parts: frozenset[str] | None
    elsewhere: Mapping[str, str]

    def version(self, key: str) -> str:
        """Of the object; of one of a day that is not there, of the month that it may be in; empty where neither is."""
        found = self._own_version(key)
        if found or not self._has_merged_months:
            return found
        folder, _, name = key.rpartition("/")
        month = month_of(folder)
        return self._own_version(f"{month}/{name}") if month else ""

    def _own_version(self, key: str) -> str:
        found = self.objects.get(key)
        return found.version if found is not None else self.elsewhere.get(key, "")

    @cached_property
    def _has_merged_months(self) -> bool:
        """Whether there are months that days were merged into: to find out for each day costs more than anything."""
        return any("/month=" in key and days_of(key.rpartition("/")[0]) for key in chain(self.objects, self.elsewhere))


def listed(store: ObjectStore, *, only_noted: bool = False) -> Listed:
    """The zone as it is now; with `only_noted`, as `update` sees it."""
    index = table_of(store, INDEX, ("receipt_key", "receipt_version", "status"))
    parts = None if not only_noted or everything_is_due(store) else with_merged(set(noted(store).values()), index)
    inside, outside = split(index, "receipt_key", parts)
    objects, former = _listing(store, inside, parts)
    elsewhere = dict(_rows_of(outside, "receipt_key", "receipt_version"))
    if outside.num_rows:
        hashed = read_table(store.get_bytes(VERIFIED_KEY), VERIFIED_SCHEMA)
        _, verified = split(hashed if hashed is not None else VERIFIED_SCHEMA.empty_table(), "data_key", parts)
        elsewhere |= dict(_rows_of(verified, "data_key", "version"))
    return Listed(objects, former, parts, elsewhere)


def is_current(store: ObjectStore, now: Listed) -> bool:
    """Whether an update would change nothing: no receipt and no stored object has another version than when the tables
    were last written, nothing is damaged, and all tables are there. Hashes nothing and writes nothing.

    `now`: the zone as `listed` has it.
    """
    # What is compared; the bytes of the whole are compared by the caller (`index_sha256`).
    written = _stored(store, INDEX, ("receipt_key", "receipt_version", "status", "dataset", "stored_sha256"))
    if written is None or not _is_current(written) or any(_stored(store, each) is None for each in BESIDE_THE_INDEX):
        return False
    written, _ = split(written, "receipt_key", now.parts)
    as_listed, gone = _as_listed(now.objects, written)
    if now.former or gone or len(as_listed) != sum(key.endswith(RECEIPT) for key in now.objects):
        return False
    return not _doubtful(Inspector(store, now.objects), written, hashes=False)


def as_of_now(store: ObjectStore) -> tuple[pa.Table, pa.Table]:
    """The index and the defects as last written, but for objects that were lost or changed since. Writes nothing.

    Hashes only what has another version now; before the first update that remembers versions, nothing.
    """
    index, defects = table_of(store, INDEX), table_of(store, DEFECTS)
    if store.get_bytes(VERIFIED_KEY) is None:
        return index, defects
    listed, _ = _listing(store, index)
    index, defects = _with_present_keys(index), _with_present_keys(defects)
    inspector = Inspector(store, listed)
    doubtful = _doubtful(inspector, index, hashes=False) & listed.keys()
    judged = [judged_again(store, inspector, Judged(listed[key], read(store, listed[key]))) for key in sorted(doubtful)]
    of_index, of_defects = _Rows(INDEX), _Rows(DEFECTS)
    for rows in (of_index, of_defects):
        rows.add(by_day(judged, listed))
    return of_index.merged(index, doubtful), of_defects.merged(defects, doubtful)


def _doubtful(inspector: Inspector, written: pa.Table, at_once: int = 1, *, hashes: bool = True) -> set[str]:
    """Keys of the receipts in the index whose objects are to be judged again: those that were damaged, whose version
    or checksum is not the one that was verified, and, with `hashes`, those with other bytes now of what every build
    reads."""
    rows = partial(_rows_of, written, "receipt_key", "status", "dataset", "stored_sha256")

    def expected(key: str, sha256: str) -> str | None:
        # The index has the sha256 of the day's own object, also where the day is in a month's.
        return None if days_of(key.removesuffix(RECEIPT)) else sha256

    unknown = inspector.unknown(
        (data_key(key), expected(key, sha256)) for key, status, _, sha256 in rows() if status == "stored"
    )
    doubtful = {key.removesuffix(DATA) + RECEIPT for key in unknown}
    hashed: dict[str, str | None] = {}
    for key, status, dataset, sha256 in rows():
        key = present_key(key)
        if status == DAMAGED:
            doubtful.add(key)
        elif hashes and dataset in READ_BY_EVERY_BUILD and status == "stored" and sha256 and key not in doubtful:
            hashed[key] = expected(key, sha256) or inspector.verified_sha256(data_key(key))
    with ThreadPoolExecutor(at_once) as pool:
        found = pool.map(lambda key: inspector.sha256_of(data_key(key), again=True) == hashed[key], hashed)
        return doubtful | {key for key, is_sound in zip(hashed, found, strict=True) if not is_sound}


def _with_present_keys(table: pa.Table) -> pa.Table:
    """A table of the time when receipts had their former name, with the keys that they have now."""
    at = table.schema.get_field_index("receipt_key")
    column = table.column(at)
    if not pc.any(pc.ends_with(column, FORMER_RECEIPT)).as_py():
        return table
    return table.set_column(at, table.schema.field(at), pa.array([present_key(key) for key in column.to_pylist()]))


def _stored(store: ObjectStore, derived: Derived, columns: Sequence[str] | None = None) -> pa.Table | None:
    """The table as stored, or these columns of it; None where it is missing, damaged or has other columns."""
    return read_table(store.get_bytes(derived.key), derived.schema, columns)


class _Held(NamedTuple):
    """A table as it was read: None where it is missing or damaged. `version`: of what is stored, None for nothing."""

    table: pa.Table | None
    version: str | None

    @property
    def is_damaged(self) -> bool:
        return self.table is None and self.version is not None


def _read_or_set_aside(store: ObjectStore, key: str, schema: pa.Schema, notice: Callable[[str], None]) -> _Held:
    """A derived table as last written. One that cannot be read is kept under another name: it is made anew."""
    found = store.get_version(key)
    if found is None:
        return _Held(None, None)
    payload, version = found
    table = read_table(payload, schema)
    if table is None:
        name = key.rpartition("/")[2].removesuffix(".parquet")
        kept = f"{_SET_ASIDE}/{name}-{hashlib.sha256(payload).hexdigest()[:12]}.parquet"
        store.put_bytes(kept, payload, only_if_absent=True)
        notice(
            f"{key} is damaged, or has the columns of another version; it is kept as {kept}, and was made anew from "
            "the receipts"
        )
    return _Held(table, version)


def _replace(store: ObjectStore, key: str, table: pa.Table, held: _Held) -> pa.Table:
    """Write the table where it is another than the one that was read. Outrun where that is not the stored one now."""
    is_as_held = held.table is not None and table.equals(held.table, check_metadata=True)
    if not is_as_held and not store.replace_bytes(key, table_bytes(table), held.version):
        raise Outrun
    return table


def _or_none(held: _Held) -> pa.Table:
    """The table, or an empty one of what was hashed."""
    return held.table if held.table is not None else VERIFIED_SCHEMA.empty_table()


def _is_current(table: pa.Table) -> bool:
    metadata = table.schema.metadata or {}
    return bool(metadata.get(_SCHEMA_VERSION_NAME) == _INDEX_METADATA[_SCHEMA_VERSION_NAME])
