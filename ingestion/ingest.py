"""The use case: what a venue publishes for some days of a market becomes receipted objects of the raw zone.

Belongs here: which objects are worth asking for (`plan`), and the order checksum → fetch → verify → decode → conform →
put → receipt (`ingest`). Idempotent: an unchanged source costs its checksum and writes nothing.
Does not: schedules, partitions, settings.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

from ingestion.datasets import Dataset
from ingestion.decode import DECODER_VERSION, Decoded, SourceFile, decode
from ingestion.errors import IngestionError, StorageError
from ingestion.fetch import Archive
from ingestion.markets import Market
from ingestion.periods import Period, Span, days_between, periods_between
from ingestion.raw_zone import ObjectId, RawZone, Receipt, Source
from ingestion.venues import archive_of
from ingestion.venues.binance import SourceObject

# Waiting for an archive is not work: several objects wait while as many as there are cores are decoded.
_CONNECTIONS: Final = 16

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
    tasks = []
    for period in periods_between(first_day, last_day, dataset.span):
        first, last = max(first_day, period.first_day), min(last_day, period.last_day)
        if any(archive.publishes(dataset, market, day) for day in days_between(first, last)):
            tasks.append(Task(dataset, market, interval, period, first, last))
    return tasks


def ingest(
    tasks: Sequence[Task],
    *,
    archive: Archive,
    zone: RawZone,
    now: datetime,
    workers: int | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every task's object up to date, in parallel; outcomes in task order.

    One object's fault does not stop the others: it becomes a `failed` outcome. `report` is called as each object ends,
    from one thread at a time. Memory is bounded by `workers` files at once (default: the number of cores).
    """
    decoding = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
    reporting = threading.Lock()

    def run(task: Task) -> Outcome:
        started = time.monotonic()
        try:
            status, receipt, downloaded = _bring_up_to_date(task, archive, zone, now, decoding)
            outcome = Outcome(task, status, receipt, None, time.monotonic() - started, downloaded)
        except IngestionError as error:
            outcome = Outcome(task, "failed", None, error, time.monotonic() - started)
        except OSError as error:
            fault = StorageError(f"{task}: {error}; check free space and permissions of the temporary folder")
            outcome = Outcome(task, "failed", None, fault, time.monotonic() - started)
        with reporting:
            report(outcome)
        return outcome

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return list(pool.map(run, tasks))


def changed_sources(tasks: Sequence[Task], *, archive: Archive, zone: RawZone) -> list[Task]:
    """The tasks whose published checksums differ from what their receipts say; downloads checksums only."""

    def changed(task: Task) -> bool:
        held = zone.receipt(task.object_id)
        published, absent = _published(_widened(task, held), archive)
        if held is None or held.status == "absent":
            return bool(published)
        return (
            bool(published)
            and not _describes(held, _widened(task, held), published, absent)
            and not _withdrawn(held, absent)
        )

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return [task for task, differs in zip(tasks, pool.map(changed, tasks), strict=True) if differs]


def _bring_up_to_date(
    task: Task, archive: Archive, zone: RawZone, now: datetime, decoding: threading.BoundedSemaphore
) -> tuple[Status, Receipt, int]:
    held = zone.receipt(task.object_id)
    task = _widened(task, held)
    published, absent = _published(task, archive)
    if held is not None and _describes(held, task, published, absent):
        return ("absent" if held.status == "absent" else "unchanged"), held, 0
    if held is not None and held.status == "stored" and (not published or _withdrawn(held, absent)):
        return "kept", held, 0
    if not published:
        return "absent", zone.put(task.object_id, None, _receipt(task, now, absent)), 0
    with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
        folder = Path(scratch)
        sources = [
            SourceFile(archive.download(source.key, sha256, folder), source.key, source.period)
            for source, sha256 in published
        ]
        downloaded = sum(source.path.stat().st_size for source in sources)
        target = folder / "data.parquet"
        with decoding:
            layout = archive_of(task.market).layout(task.dataset, task.market)
            decoded = decode(sources, task.dataset, layout, target)
        proven = tuple(
            Source(source.key, sha256, file.path.stat().st_size, rows)
            for (source, sha256), file, rows in zip(published, sources, decoded.source_rows, strict=True)
        )
        receipt = replace(_receipt(task, now, absent, decoded, target), sources=proven)
        return "stored", zone.put(task.object_id, target, receipt), downloaded


def _widened(task: Task, held: Receipt | None) -> Task:
    """The task together with the days the object already covers: asking for less never loses a day."""
    if held is None:
        return task
    first, last = min(task.first_day, held.first_day), max(task.last_day, held.last_day)
    return Task(task.dataset, task.market, task.interval, task.period, first, last)


def _published(task: Task, archive: Archive) -> tuple[list[tuple[SourceObject, str]], tuple[date, ...]]:
    """The fewest archive objects that hold the task's days, each with its checksum, and the days that have none."""
    venue = archive_of(task.market)
    wants_all = (task.first_day, task.last_day) == (task.period.first_day, task.period.last_day)
    by_day = venue.whole(task.dataset, task.market, task.interval, Period.of_day(task.first_day)) is not None
    if wants_all or not by_day:
        whole = venue.whole(task.dataset, task.market, task.interval, task.period)
        sha256 = archive.checksum(whole.key) if whole else None
        if whole and sha256:
            return [(whole, sha256)], ()
    published, absent = [], []
    for day in days_between(task.first_day, task.last_day):
        source = None
        if by_day and not (wants_all and task.period.span is Span.DAY):
            source = venue.whole(task.dataset, task.market, task.interval, Period.of_day(day))
        sha256 = archive.checksum(source.key) if source else None
        if source and sha256:
            published.append((source, sha256))
        else:
            absent.append(day)
    return published, tuple(absent)


def _describes(
    held: Receipt, task: Task, published: Sequence[tuple[SourceObject, str]], absent: Sequence[date]
) -> bool:
    """The receipt is what ingesting these sources for these days would give."""
    return (
        held.decoder_version == DECODER_VERSION
        and (held.first_day, held.last_day) == (task.first_day, task.last_day)
        and {(s.key, s.sha256) for s in held.sources} == {(s.key, sha256) for s, sha256 in published}
        and set(absent) <= set(held.absent_days)
    )


def _withdrawn(held: Receipt, absent: Sequence[date]) -> bool:
    """A day that we hold rows of is no longer published."""
    return any(held.day_rows.get(day.isoformat()) for day in absent)


def _receipt(
    task: Task, now: datetime, absent: Sequence[date], decoded: Decoded | None = None, data: Path | None = None
) -> Receipt:
    found = decoded or Decoded()
    empty = set(absent)
    if decoded is not None and task.period.span is Span.MONTH:
        # The venue's file of a whole month may itself lack days.
        empty |= {day for day in days_between(task.first_day, task.last_day) if day not in found.day_rows}
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
        absent_days=tuple(sorted(empty)),
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
