"""Sealing: the spool files of hours that have ended become rows of the raw zone, each exactly once.

Belongs here: which hours can be sealed, merging rows with what the day already holds, receipts, what happens to a
sealed file afterwards.
Does not: reading messages into rows (`ingestion.live.rows`), how the spool is written (`ingestion.live.spool`).

The order makes a kill harmless: rows are merged by the id of their event, the receipt that names the file is stored
after them, and only when every object has its receipt does the file leave the spool. Repeating any step gives the same
object.

Several collectors may seal into one zone, one at a time (the caller's to see to): the day holds each event once, as it
was first received, and each minute once that any of them has covered. In which order they seal changes nothing but the
time in the receipt. What another collector's machine makes anew, after damage, lacks the files of this one: they are
added in this one's next sealing, from the sealed ones.

Longer than 400 lines: sealing and making anew are one order of steps, whichever of them was interrupted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ingestion.decode.order import repeats
from ingestion.decode.parquet import write_rows
from ingestion.domain.datasets import LIQUIDATIONS, LIVE_TRADES, Dataset
from ingestion.domain.periods import Period
from ingestion.live.rows import FileRead, ObjectRows, SpoolReading
from ingestion.live.spool import (
    SEALED_FOLDER,
    Segment,
    closed,
    finished_segments,
)
from ingestion.raw.durable import atomic_write, sync
from ingestion.raw.names import RECEIPT, by_present_key, stored_receipt
from ingestion.raw.receipts import Defect, ObjectId, Receipt, Source, readable, receipt_of
from ingestion.raw.soundness import Inspector
from ingestion.raw.zone import RawZone
from ingestion.venues import VENUES, parse_market

# Higher whenever the same files would give other rows: what an older version read may then be read again.
SEAL_VERSION: Final = 4
# Sealed files are kept this long, compressed, in case they were read wrongly.
KEEP_SEALED: Final = timedelta(days=30)
_SET_ASIDE: Final = "/set_aside"
_IDENTITY: Final = {LIQUIDATIONS.name: ("event_id",), LIVE_TRADES.name: ("trade_id",)}


@dataclass(frozen=True)
class FinishedHour:
    """An hour of a venue that can be sealed. `hour`: `2026-11-26T13`. `files`: of the spool; a restart adds one."""

    venue: str
    hour: str
    files: int


@dataclass(frozen=True)
class Sealed:
    """One raw object that sealing wrote. `hours`: spool hours that were added. `rows`: of the whole object."""

    venue: str
    dataset: str
    market_id: str
    day: date
    hours: tuple[str, ...]
    rows: int
    torn_bytes: int
    receipt: Receipt


def finished_hours(spool_dir: Path, *, now: datetime) -> list[FinishedHour]:
    """The hours that `seal` would seal, by venue and time; empty when there is nothing to do."""
    found = [segment for segment in finished_segments(spool_dir, now=now) if segment.venue in VENUES]
    hours = Counter((segment.venue, segment.hour) for segment in found)
    return [FinishedHour(venue, hour, files) for (venue, hour), files in sorted(hours.items())]


def collected_venues(spool_dir: Path, zone: RawZone | None = None) -> list[str]:
    """The venues that a collector here has recorded, and those of which liquidations are stored. StorageError."""
    found = {
        path.parent.name for folder in (spool_dir, spool_dir / SEALED_FOLDER) for path in folder.glob("*/*.spool*")
    }
    if zone is not None:
        stored = zone.store.list(f"raw/{LIQUIDATIONS.name}")
        found |= {each.key.split("/")[2].removeprefix("venue=") for each in stored}
    return [venue for venue in VENUES if venue in found]


def seal(
    spool_dir: Path,
    zone: RawZone,
    *,
    now: datetime,
    scratch: Path | None = None,
    still_alone: Callable[[], None] = lambda: None,
) -> list[Sealed]:
    """Seal every finished hour; the objects written, by venue and day. StorageError, OSError.

    Concurrent calls for one spool wait for each other; for spools of one zone, the caller sees to it that one seals at
    a time, and `still_alone`, called before an object is stored, raises where that is not so any more. Repeating it,
    also after a kill at any point, changes nothing. Files are put together in `scratch`, by default in the system's
    folder for temporary files.
    """
    if not spool_dir.is_dir():
        return []
    sealed = []
    with _alone(spool_dir):
        # A day at a time: after an upgrade it can be a month of them.
        for venue, day in _to_make_anew(spool_dir, zone, now):
            _put_back(spool_dir, venue, day)
            sealed += _seal_files(
                spool_dir, venue, _finished(spool_dir, now, venue, _hours_around(day)), zone, now, scratch, still_alone
            )
        by_day: dict[tuple[str, str], list[Segment]] = defaultdict(list)
        for segment in _finished(spool_dir, now):
            by_day[segment.venue, segment.hour.partition("T")[0]].append(segment)
        for (venue, _), files in sorted(by_day.items()):
            sealed += _seal_files(spool_dir, venue, files, zone, now, scratch, still_alone)
        _forget_old(spool_dir, now)
    return sealed


def _finished(spool_dir: Path, now: datetime, venue: str | None = None, hours: Collection[str] = ()) -> list[Segment]:
    """The files that can be sealed, of known venues; of one venue and these hours where a venue is given."""
    return [
        each
        for each in finished_segments(spool_dir, now=now)
        if each.venue in VENUES and (venue is None or (each.venue == venue and each.hour in hours))
    ]


@contextmanager
def _alone(spool_dir: Path) -> Iterator[None]:
    with (spool_dir / "seal.lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _seal_files(
    spool_dir: Path,
    venue: str,
    segments: Sequence[Segment],
    zone: RawZone,
    now: datetime,
    scratch: Path | None,
    still_alone: Callable[[], None],
) -> list[Sealed]:
    """Add these files, read together, to the objects of their days, and move them to the sealed ones."""
    files = [closed(segment) for segment in segments]
    with tempfile.TemporaryDirectory(prefix="taker-", dir=scratch) as folder:
        sealed = list(_stored_objects(venue, files, zone, now, Path(folder), still_alone))
    for file in files:
        _archive(spool_dir, file)
    return sealed


def _stored_objects(
    venue: str,
    files: Sequence[Segment],
    zone: RawZone,
    now: datetime,
    scratch: Path,
    still_alone: Callable[[], None],
) -> Iterator[Sealed]:
    reading = SpoolReading(venue)
    for file in files:
        reading.read(file)
    for (dataset, symbol, day), found in sorted(reading.objects.items(), key=lambda each: each[0]):
        found.rows.flush()
        market = parse_market(f"{venue}:{symbol}")
        object_id = ObjectId(dataset, market, "", Period.of_day(day))
        still_alone()
        receipt = _stored(object_id, found, zone, now, scratch, is_every_order=reading.feed.is_every_order)
        if receipt is not None:
            hours = tuple(sorted({read.segment.hour for read in found.reads}))
            torn = sum(read.torn_bytes for read in found.reads)
            yield Sealed(venue, dataset, market.market_id, day, hours, receipt.rows, torn, receipt)


def _stored(
    object_id: ObjectId, found: ObjectRows, zone: RawZone, now: datetime, scratch: Path, *, is_every_order: bool
) -> Receipt | None:
    """Merge into the day's object; None when all of it was stored already."""
    held = _trusted(object_id, zone)
    known = {(source.key, source.sha256) for source in held.sources} if held else set()
    if held and held.decoder_version != SEAL_VERSION and known <= {_identity(read.source) for read in found.reads}:
        held, known = None, set()  # every file that an older version read is here again: the object is rebuilt
    new = [read for read in found.reads if _identity(read.source) not in known]
    if not new:
        return None
    dataset = found.rows.dataset
    before = [zone.rows(object_id)] if held else []
    table = _merged(pa.concat_tables([dataset.schema.empty_table(), *before, *found.rows.chunks]), dataset)
    target = scratch / "data.parquet"
    written = write_rows([table], dataset, None, target)
    sources = sorted((*(held.sources if held else ()), *(read.source for read in new)), key=_identity)
    receipt = receipt_of(
        object_id,
        now=now,
        version=held.decoder_version if held else SEAL_VERSION,
        found=written,
        data=target,
        sources=sources,
        day_rows={object_id.period.label: table.num_rows},
        duplicate_rows=sum(source.rows for source in sources) - table.num_rows,
        is_every_order=is_every_order,
        **_coverage(held, new, object_id.period),
    )
    return zone.put(object_id, target, receipt)


def _trusted(object_id: ObjectId, zone: RawZone) -> Receipt | None:
    """The receipt of the stored object; None for one that is damaged, which is set aside and begun anew."""
    held = zone.receipt(object_id)
    is_torn = held is None and stored_receipt(zone.store, object_id.folder) is not None
    if is_torn or zone.fault(object_id, held):
        zone.set_aside(object_id)
        return None
    return held


def _to_make_anew(spool_dir: Path, zone: RawZone, now: datetime) -> list[tuple[str, date]]:
    """Venue and day of the objects that sealing makes anew, or completes, from the sealed files: damaged ones, those
    that an older version made, and those that lack a file which is sealed here.

    What is older than the sealed files are kept stays damaged, and uncovered; an object of an older version, of which a
    file is not kept as it was read, as one of another collector is not, stays as that version made it.
    """
    oldest = (now - KEEP_SEALED).date()
    inspector, found = Inspector(zone.store), set()
    lacking = _sealed_here(spool_dir, oldest)
    for dataset in _IDENTITY:
        listed, _ = by_present_key(zone.store.list(f"raw/{dataset}"))
        for key in listed:
            folder, _, name = key.rpartition("/")
            is_set_aside = folder.endswith(_SET_ASIDE) and name.endswith("-receipt.json")
            if f"/{name}" != RECEIPT and not is_set_aside:
                continue
            folder = folder.removesuffix(_SET_ASIDE)
            *_, venue, _, label = folder.split("/")
            venue, day = venue.removeprefix("venue="), date.fromisoformat(label.partition("=")[2])
            if day < oldest:
                continue
            held = stored_receipt(zone.store, folder)
            receipt = readable(held[1]) if held else None
            named = {source.key for source in receipt.sources} if receipt is not None else set()
            if is_set_aside:
                # What another collector has made anew since: the files of this one that were in it before.
                former = readable(zone.store.get_bytes(key))
                lost = {source for source in (former.sources if former else ()) if source.key not in named}
                if any(_is_kept(spool_dir, source) for source in lost):
                    found.add((venue, day))
                continue
            if dataset == LIQUIDATIONS.name:  # the receipt of its own day names every file
                lacking[venue, day] -= named
            is_damaged = receipt is None or inspector.fault(folder, receipt) is not None
            if is_damaged or (
                receipt is not None
                and receipt.decoder_version < SEAL_VERSION
                and receipt.sources
                and all(_is_kept(spool_dir, source) for source in receipt.sources)
            ):
                found.add((venue, day))
    return sorted(found | {place for place, files in lacking.items() if files})


def _sealed_here(spool_dir: Path, oldest: date) -> dict[tuple[str, date], set[str]]:
    """By venue and day, the keys in receipts of the sealed files that can be read."""
    found: dict[tuple[str, date], set[str]] = defaultdict(set)
    for venue in VENUES:
        for path in (spool_dir / SEALED_FOLDER / venue).glob("*.spool.zst"):
            with contextlib.suppress(ValueError):  # no file of a collector
                day = date.fromisoformat(path.name.partition("T")[0])
                if day >= oldest:
                    found[venue, day].add(f"spool/{venue}/{path.name.removesuffix('.zst')}")
    return found


def _is_kept(spool_dir: Path, source: Source) -> bool:
    """The file is among the sealed ones, or in the spool again, with the bytes that were read."""
    key = source.key.partition("/")[2]
    with contextlib.suppress(OSError):  # ArrowException of damaged zstd is one
        return _sha256(spool_dir / key, packed=False) == source.sha256
    with contextlib.suppress(OSError):
        return _sha256(spool_dir / SEALED_FOLDER / f"{key}.zst", packed=True) == source.sha256
    return False


def _sha256(path: Path, *, packed: bool) -> str:
    digest = hashlib.sha256()
    with pa.input_stream(str(path), compression="zstd" if packed else None) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _put_back(spool_dir: Path, venue: str, day: date) -> None:
    """Copy the sealed files that can hold messages of the day to the spool, as far as they can be read."""
    hours = _hours_around(day)
    for path in sorted((spool_dir / SEALED_FOLDER / venue).glob("*.spool.zst")):
        if path.name.partition(".")[0] in hours:
            _unpack(path, spool_dir / venue / path.name.removesuffix(".zst"))


def _hours_around(day: date) -> set[str]:
    """The hours of the day, and the one on each side: a message can be received in another hour than its event."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - an hour's label has no zone
    return {f"{midnight + timedelta(hours=hour):%Y-%m-%dT%H}" for hour in range(-1, 25)}


def _unpack(packed: Path, target: Path) -> None:
    """Copy the sealed file to the spool; nothing of one that cannot be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        contextlib.suppress(pa.ArrowException, OSError),
        pa.input_stream(str(packed), compression="zstd") as source,
        atomic_write(target, durable=True) as staged,
        staged.open("wb") as raw,
    ):
        while block := source.read(1 << 20):
            raw.write(block)


def _coverage(held: Receipt | None, new: Sequence[FileRead], period: Period) -> dict[str, Any]:
    """What the receipt states of coverage and losses: of the files that it already names, and of the new ones."""
    minutes = _united(held.which_minutes if held else {}, [read.covered for read in new])
    counted = {hour: bits.bit_count() for hour, bits in minutes.items()}
    # Of what an older version counted, it is not known which minutes: others may be the same ones.
    for hour, count in (held.covered_minutes if held else {}).items():
        counted[hour] = max(count, counted.get(hour, 0))
    return {
        "covered_minutes": dict(sorted(counted.items())),
        "which_minutes": {hour: f"{bits:015x}" for hour, bits in sorted(minutes.items())},
        "lost_messages": _added(held.lost_messages if held else {}, [read.lost for read in new]),
        "subscribed_symbols": _subscribed_symbols(
            held.subscribed_symbols if held else {}, [read.symbols for read in new]
        ),
        "malformed_messages": (held.malformed_messages if held else 0) + sum(read.malformed for read in new),
        "misdated_rows": (held.misdated_rows if held else 0) + sum(read.misdated for read in new),
        "torn_bytes": (held.torn_bytes if held else 0) + sum(read.torn_bytes for read in new),
        "defects": tuple(
            sorted(
                (*(held.defects if held else ()), *(defect for read in new for defect in _set_aside(read, period))),
                key=lambda defect: (defect.hour or "", defect.source_key, defect.reason, defect.rows),
            )
        ),
    }


def _set_aside(read: FileRead, period: Period) -> list[Defect]:
    """One defect for each hour in which events were received that cannot be stored, and one for each in which messages
    were not kept."""
    found = [(hour, faults[0], len(faults)) for hour, faults in sorted(read.unstorable.items())]
    too_many = "messages were received and not kept, more in the hour than any venue sends"
    found += [(hour, too_many, count) for hour, count in sorted(read.dropped.items())]
    return [
        Defect("quarantined_rows", reason, period.first_day, hour, count, read.segment.key, read.sha256)
        for hour, reason, count in found
    ]


def _merged(table: pa.Table, dataset: Dataset) -> pa.Table:
    """One row per event, the first that was received, in the order of time; of rows that were received at once, the
    same one whichever comes first here."""
    identity = _IDENTITY[dataset.name]
    others = [name for name in table.column_names if name not in (*identity, "received_at")]
    by_event = table.sort_by([(name, "ascending") for name in (*identity, "received_at", *others)])
    first = by_event.filter(pa.array(~repeats(by_event.select(list(identity)))))
    return first.sort_by([(dataset.time_column, "ascending"), *((name, "ascending") for name in identity)])


def _identity(source: Source) -> tuple[str, str]:
    return source.key, source.sha256


def _added(held: Mapping[str, int], found: Sequence[dict[str, int]]) -> dict[str, int]:
    """Counts per hour, of all files together."""
    total: dict[str, int] = defaultdict(int, held)
    for counts in found:
        for hour, count in counts.items():
            total[hour] += count
    return dict(sorted(total.items()))


def _united(held: Mapping[str, str], found: Sequence[dict[str, int]]) -> dict[str, int]:
    """Minutes per hour, as bits, of all files together."""
    total: dict[str, int] = defaultdict(int, {hour: int(bits, 16) for hour, bits in held.items()})
    for minutes in found:
        for hour, bits in minutes.items():
            total[hour] |= bits
    return total


def _subscribed_symbols(held: Any, found: Sequence[dict[str, str]]) -> dict[str, str]:
    """Symbols per hour: those that every file of the hour was subscribed to, `-` when there is none."""
    merged: dict[str, str] = dict(held)
    for subscribed in found:
        for hour, symbols in subscribed.items():
            both = set(symbols.split()) & set(merged.get(hour, symbols).split())
            merged[hour] = " ".join(sorted(both)) or "-"
    return dict(sorted(merged.items()))


def _archive(spool_dir: Path, file: Segment) -> None:
    """Move a sealed file away from the spool, compressed. A kill in between leaves it to be sealed again."""
    target = _kept(spool_dir, file)
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(target, durable=True) as staged:
        _compress(file.path, staged)
    for each in (folder, folder.parent, spool_dir):
        sync(each)
    file.path.unlink()


def _compress(path: Path, target: Path) -> None:
    with path.open("rb") as raw, pa.CompressedOutputStream(str(target), "zstd") as packed:
        while block := raw.read(1 << 20):
            packed.write(block)


def _kept(spool_dir: Path, file: Segment) -> Path:
    return spool_dir / SEALED_FOLDER / file.venue / f"{file.name}.zst"


def _forget_old(spool_dir: Path, now: datetime) -> None:
    oldest = f"{now - KEEP_SEALED:%Y-%m-%dT%H}"
    for path in (spool_dir / SEALED_FOLDER).glob("*/*.spool.zst"):
        if path.name.partition(".")[0] < oldest:
            path.unlink()
