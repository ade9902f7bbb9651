"""The use case: what a venue publishes for some days of a market becomes receipted objects of the raw zone.

Belongs here: which objects are worth asking for (`plan`), and the order proof → fetch → verify → decode → put →
receipt (`ingest`). Idempotent: an unchanged source costs its checksum (one HEAD where the venue publishes none) and
writes nothing.
Does not: schedules, partitions, settings.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.datasets import Dataset
from ingestion.decode import DECODER_VERSION, Decoded, SourceFile, decode
from ingestion.errors import IngestionError, SourceDefect, StorageError
from ingestion.fetch import Archive, Archives, Proof
from ingestion.markets import SIMULATED_VENUE, Market
from ingestion.periods import Period, Span, days_between, periods_between
from ingestion.raw_zone import ObjectId, RawZone, Receipt, Source
from ingestion.venues import archive_of
from ingestion.venues.venue import SourceObject, VenueArchive

# Waiting for an archive is not work: several objects wait while as many as there are cores are decoded.
_CONNECTIONS: Final = 16
# The day in an object's key: the last one in its name.
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?=[^/]*$)")

Status = Literal["stored", "unchanged", "absent", "kept", "failed"]


@dataclass(frozen=True)
class Task:
    """One raw object to bring up to date, and the days of it that are wanted (inclusive)."""

    dataset: Dataset
    market: Market
    interval: str
    period: Period
    first_day: date
    last_day: date

    @property
    def object_id(self) -> ObjectId:
        return ObjectId(self.dataset.name, self.market, self.interval, self.period)

    def __str__(self) -> str:
        return str(self.object_id)


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    `stored`: new or changed. `unchanged`: same source as before. `absent`: the venue has no file. `kept`: the venue
    withdrew a file that we hold, and we keep ours. `failed`: `error` says why, and the raw zone is as it was.
    """

    task: Task
    status: Status
    receipt: Receipt | None
    error: IngestionError | None = None
    seconds: float = 0.0
    bytes_downloaded: int = 0


def plan(dataset: Dataset, market: Market, first_day: date, last_day: date, *, interval: str = "") -> list[Task]:
    """The tasks that cover the inclusive range, one per raw object; none where the venue publishes no such data."""
    archive = archive_of(market)
    if archive is None:
        return []
    tasks = []
    for period in periods_between(first_day, last_day, dataset.span):
        first, last = max(first_day, period.first_day), min(last_day, period.last_day)
        if any(archive.publishes(dataset, market, day) for day in days_between(first, last)):
            tasks.append(Task(dataset, market, interval, period, first, last))
    return tasks


def ingest(
    tasks: Sequence[Task],
    *,
    archives: Archives,
    zone: RawZone,
    now: datetime,
    workers: int | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every task's object up to date, in parallel; outcomes in task order.

    `archives`: each venue's own. One object's fault does not stop the others: it becomes a `failed` outcome. `report`
    is called as each object ends, from one thread at a time. Memory is bounded by `workers` files at once (default: the
    number of cores).
    """
    decoding = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
    reporting = threading.Lock()

    def run(task: Task) -> Outcome:
        started = time.monotonic()
        try:
            status, receipt, downloaded = _bring_up_to_date(task, archives.of(task.market.venue), zone, now, decoding)
            outcome = Outcome(task, status, receipt, None, time.monotonic() - started, downloaded)
        except IngestionError as error:
            outcome = Outcome(task, "failed", None, error, time.monotonic() - started)
        except OSError as error:
            fault = StorageError(f"{task}: {error}; check free space and permissions of the temporary folder")
            outcome = Outcome(task, "failed", None, fault, time.monotonic() - started)
        except Exception as error:  # a fault of ours in one object must not take the others with it
            bug = IngestionError(f"{task}: unexpected {type(error).__name__}: {error}; nothing of it was stored")
            outcome = Outcome(task, "failed", None, bug, time.monotonic() - started)
        with reporting:
            report(outcome)
        return outcome

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return list(pool.map(run, tasks))


def changed_sources(
    tasks: Sequence[Task],
    *,
    archives: Archives,
    zone: RawZone,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Task]:
    """The tasks that were ingested before and whose files are others now, by checksum or by what the server says of
    them. Downloads no file.

    An object that cannot be judged is reported as a `failed` outcome and left out.
    """

    def changed(task: Task) -> bool:
        try:
            held = zone.receipt(task.object_id)
            if held is None:
                return False  # nobody asked for it yet
            asked = _widened(task, held)
            published = _published(asked, held, archives.of(task.market.venue))
            return bool(published.objects) and not _describes(held, asked, published)
        except IngestionError as error:
            report(Outcome(task, "failed", None, error))
            return False

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return [task for task, differs in zip(tasks, pool.map(changed, tasks), strict=True) if differs]


@dataclass(frozen=True)
class _Published:
    """What the archive has for a task: objects with their proofs, and the days that none of them was found for.

    `whole`: the first object holds the entire period; then `missing` names only days that it is known to lack.
    """

    objects: tuple[tuple[SourceObject, Proof], ...]
    missing: tuple[date, ...]
    whole: bool


def _bring_up_to_date(
    task: Task, archive: Archive, zone: RawZone, now: datetime, decoding: threading.BoundedSemaphore
) -> tuple[Status, Receipt, int]:
    _refuse_the_wrong_archive(task, archive)
    held = zone.receipt(task.object_id)
    task = _widened(task, held)
    published = _published(task, held, archive)
    if held is not None and held.status == "stored" and not published.objects:
        return "kept", held, 0
    if held is not None and _describes(held, task, published):
        return ("absent" if held.status == "absent" else "unchanged"), held, 0
    if not published.objects:
        return "absent", zone.put(task.object_id, None, _receipt(task, now, published.missing)), 0
    layout = _archive(task).layout(task.dataset, task.market)
    with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
        folder, target = Path(scratch), Path(scratch, "data.parquet")
        fetched = [_fetched(source, proof, archive, folder) for source, proof in published.objects]
        with decoding:
            decoded = decode([file for file, _ in fetched], task.dataset, layout, target)
        lacking = [day for day in _days_of(task) if day not in decoded.day_rows]
        if task.period.span is Span.DAY:
            lacking = []  # a day's file without rows says that nothing happened
        # A whole month may lack days that the venue publishes one by one, or once did and we still hold.
        unknown = [day for day in lacking if day not in published.missing] if published.whole else []
        late = _by_day(task, unknown, archive)
        found = {source.period.first_day for source, _ in late}
        carried = _held_rows(held, [day for day in lacking if day not in found], zone, task)
        if late or carried is not None:
            fetched += [_fetched(source, proof, archive, folder) for source, proof in late]
            with decoding:
                decoded = decode([file for file, _ in fetched], task.dataset, layout, target, carried)
        sources = tuple(
            Source(file.key, proof.sha256, file.path.stat().st_size, rows, proof.fingerprint)
            for (file, proof), rows in zip(fetched, decoded.source_rows, strict=True)
        )
        absent = [day for day in lacking if day not in decoded.day_rows]
        receipt = replace(_receipt(task, now, absent, decoded, target), sources=sources)
        return "stored", zone.put(task.object_id, target, receipt), sum(source.size for source in sources)


def _refuse_the_wrong_archive(task: Task, archive: Archive) -> None:
    """Simulated files have the very names of real ones; only the archive itself says which they are."""
    if archive.is_simulated == (task.market.venue == SIMULATED_VENUE):
        return
    is_what, symbol = ("simulated", task.market.symbol) if archive.is_simulated else ("not simulated", "")
    asked = f"simulated:{symbol}" if symbol else "a market of a real venue"
    raise SourceDefect(
        f"{task}: the archive {archive.url} is {is_what}, so {task.market.market_id} cannot come from it; "
        f"ask for {asked}, or set {archive.setting} to the archive you mean"
    )


def _fetched(source: SourceObject, proof: Proof, archive: Archive, folder: Path) -> tuple[SourceFile, Proof]:
    download = archive.download(source.key, proof, folder)
    file = SourceFile(download.path, source.key, source.period, source.holds, source.is_shared)
    return file, download.proof


def _widened(task: Task, held: Receipt | None) -> Task:
    """The task together with the days the object already covers: asking for less never loses a day."""
    if held is None:
        return task
    first, last = min(task.first_day, held.first_day), max(task.last_day, held.last_day)
    return replace(task, first_day=first, last_day=last)


def _published(task: Task, held: Receipt | None, archive: Archive) -> _Published:
    """The fewest archive objects that hold the task's days: the whole period where it is published, else its days."""
    wants_all = (task.first_day, task.last_day) == (task.period.first_day, task.period.last_day)
    if wants_all or not _is_published_by_day(task):
        whole = _proven(task, task.period, archive)
        if whole:
            known = _days_beside(whole, held)
            late = _by_day(task, known, archive)
            found = {source.period.first_day for source, _ in late}
            return _Published((*whole, *late), tuple(day for day in known if day not in found), whole=True)
    if task.period.span is Span.DAY:
        return _Published((), (task.first_day,), whole=False)
    days = list(_days_of(task))
    objects = _by_day(task, days, archive)
    found = {source.period.first_day for source, _ in objects}
    return _Published(objects, tuple(day for day in days if day not in found), whole=False)


def _archive(task: Task) -> VenueArchive:
    """The layout of the task's venue: only venues with an archive have tasks."""
    archive = archive_of(task.market)
    if archive is None:
        raise IngestionError(f"{task}: {task.market.venue} has no archive of files; ask its api instead")
    return archive


def _is_published_by_day(task: Task) -> bool:
    day = Period.of_day(task.first_day)
    return bool(_archive(task).objects(task.dataset, task.market, task.interval, day))


def _proven(task: Task, period: Period, archive: Archive) -> tuple[tuple[SourceObject, Proof], ...]:
    """The objects that together hold `period`, with their proofs; none unless the archive has every one of them."""
    sources = _archive(task).objects(task.dataset, task.market, task.interval, period)
    found = [_offered(source, archive) for source in sources]
    return tuple(one for one in found if one is not None) if all(found) else ()


def _offered(source: SourceObject, archive: Archive) -> tuple[SourceObject, Proof] | None:
    """The object, or the one that stands in for it, with its proof; None where the archive has neither."""
    proof = archive.proof(source.key)
    if proof is not None:
        return source, proof
    return _offered(source.otherwise, archive) if source.otherwise is not None else None


def _days_beside(whole: Sequence[tuple[SourceObject, Proof]], held: Receipt | None) -> list[date]:
    """The days that the objects of the whole period were found to lack when they were last read."""
    keys = {source.key for source, _ in whole}
    if held is None or not keys <= {source.key for source in held.sources}:
        return []
    by_day = [Period.of_day(date.fromisoformat(_day_in(s.key))) for s in held.sources if s.key not in keys]
    return sorted({*held.absent_days, *(period.first_day for period in by_day)})


def _by_day(task: Task, days: Sequence[date], archive: Archive) -> tuple[tuple[SourceObject, Proof], ...]:
    """The objects of single days that the archive has."""
    if not _is_published_by_day(task):
        return ()
    return tuple(found for day in days for found in _proven(task, Period.of_day(day), archive))


def _day_in(key: str) -> str:
    """The day that a day's object names, `YYYY-MM-DD`; empty where it names none."""
    found = _DAY.findall(key)
    return found[-1] if found else ""


def _held_rows(held: Receipt | None, days: Sequence[date], zone: RawZone, task: Task) -> pa.Table | None:
    """The stored rows of those of `days` that we hold rows of, though no file has them any more; None without any."""
    gone = [day for day in days if held is not None and held.day_rows.get(day.isoformat())]
    if not gone:
        return None
    stored = zone.rows(task.object_id)
    days_of_rows = stored.column(task.dataset.time_column).cast(pa.timestamp("us")).cast(pa.date32())
    return stored.filter(pc.is_in(days_of_rows, value_set=pa.array(gone, pa.date32())))


def _days_of(task: Task) -> Iterator[date]:
    return days_between(task.first_day, task.last_day)


def _describes(held: Receipt, task: Task, published: _Published) -> bool:
    """The receipt is what ingesting these sources for these days would give."""
    sources = {(source.key, source.fingerprint or source.sha256) for source in held.sources}
    # A file that was withdrawn leaves its rows with us, and its name in the receipt.
    offered = {(source.key, proof.fingerprint or proof.sha256) for source, proof in published.objects}
    days = {day.isoformat() for day in published.missing}
    withdrawn = {(key, state) for key, state in sources - offered if _day_in(key) in days}
    return (
        held.decoder_version == DECODER_VERSION
        and (held.first_day, held.last_day) == (task.first_day, task.last_day)
        and sources - withdrawn == offered
        and all(day in held.absent_days or held.day_rows.get(day.isoformat()) for day in published.missing)
    )


def _receipt(
    task: Task, now: datetime, absent: Sequence[date], decoded: Decoded | None = None, data: Path | None = None
) -> Receipt:
    found = decoded or Decoded()
    return Receipt(
        dataset=task.dataset.name,
        venue=task.market.venue,
        symbol=task.market.symbol,
        interval=task.interval,
        period=task.period.label,
        status="absent" if data is None else "stored",
        first_day=task.first_day,
        last_day=task.last_day,
        known_at=now,
        decoder_version=DECODER_VERSION,
        rows=found.rows,
        stored_bytes=data.stat().st_size if data else 0,
        day_rows={day.isoformat(): rows for day, rows in found.day_rows.items()},
        absent_days=tuple(sorted(set(absent))),
        id_gaps=found.id_gaps,
        duplicate_rows=found.duplicate_rows,
        zero_rows=found.zero_rows,
        out_of_order_rows=found.out_of_order_rows,
        first_id=found.first_id,
        last_id=found.last_id,
        min_at=found.min_at,
        max_at=found.max_at,
        stored_sha256=_sha256(data) if data else "",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
