"""The use case: what a venue publishes for some days of a market becomes receipted objects of the raw zone.

Belongs here: which objects are worth asking for (`plan`), the order proof → fetch → verify → decode → put → receipt
(`ingest`), and what is used in place of a file that cannot be. Idempotent: an unchanged source costs its checksum (one
HEAD where the venue publishes none) and writes nothing.
Does not: schedules, partitions, settings.

A file is used as far as it can be trusted. One that cannot be used is refused, and its days come from their own files
where the venue has them; the receipt's defects say what was used instead of what, and are the memory by which a refused
file is not fetched again until it changes. Bytes that differ from their checksum may have been damaged on their way:
they are fetched again in every run.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.decode.decoder import DECODER_VERSION, Decoded, SourceFile, decode, rewrite
from ingestion.decode.plausibility import doubts
from ingestion.decode.quarantine import Quarantined
from ingestion.domain.datasets import ARCHIVED, KLINE_INTERVALS, Dataset
from ingestion.domain.errors import (
    AbsenceUnknown,
    ChecksumMismatch,
    ContractViolation,
    IngestionError,
    ObjectGone,
    SourceDefect,
    StorageError,
)
from ingestion.domain.markets import SIMULATED_VENUE, Market
from ingestion.domain.periods import Period, Span, days_between, periods_between
from ingestion.http.downloads import SharedDownloads
from ingestion.http.fetch import Archive, Archives, Proof
from ingestion.raw.zone import Defect, ObjectId, RawZone, Receipt, Source
from ingestion.venues import archive_of
from ingestion.venues.simulated import SIMULATION_MARKER, SIMULATION_WORD
from ingestion.venues.venue import SourceObject, VenueArchive

# Waiting for an archive is not work: several objects wait while as many as there are cores are decoded.
_CONNECTIONS: Final = 16
# The day in an object's key: the last one in its name.
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?=[^/]*$)")
# So many defects of set-aside rows in one receipt; more are summed by day.
_MOST_QUARANTINED: Final = 200
_LONGEST_REASON: Final = 500
_AFTER_DELIVERY: Final = "after the delivery of the contract at"
# So many receipts are read to find a file that the archive has.
_MOST_PROBES: Final = 5
_NUMBERS: Final = re.compile(r"\d[\d.:+-]*")
_STAYS: Final = "; what was stored of the day before stays in use"
# What errors say besides what is wrong with the file.
_NOTHING_STORED: Final = re.compile(
    r"[;,] nothing (?:of it )?was stored(?:\. .*$|(?=:)|$)|; try again later$", re.DOTALL
)

Status = Literal["stored", "unchanged", "absent", "kept", "refused", "failed"]


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
    withdrew a file that we hold, and we keep ours. `refused`: the venue has a file, nothing of it can be used, and
    nothing was found in its place; `error` says why, so does the receipt, and a good version stored before stays.
    `failed`: the archive could not be reached or the raw zone not be written; `error` says why, and the raw zone is as
    it was.
    """

    task: Task
    status: Status
    receipt: Receipt | None
    error: IngestionError | None = None
    seconds: float = 0.0
    bytes_downloaded: int = 0


def plan(dataset: Dataset, market: Market, first_day: date, last_day: date, *, interval: str = "") -> list[Task]:
    """The tasks that cover the inclusive range, one per raw object; none where the venue publishes no such data, and
    none for the days after the delivery of a dated contract, though the venue may publish files of them."""
    archive = archive_of(market)
    if archive is None:
        return []
    last_day = min(last_day, _delivery_day(market) or last_day)
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
    notice: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Bring every task's object up to date, in parallel; outcomes in task order.

    `archives`: each venue's own. One object's fault does not stop the others: it becomes a `failed` or `refused`
    outcome. `report` is called as each object ends, from one thread at a time; `notice` at the end, with what is to be
    known of an archive as a whole. Memory is bounded by `workers` files at once (default: the
    number of cores).
    """
    decoding = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
    reporting = threading.Lock()

    def run(task: Task, *, is_last_word: bool) -> Outcome:
        started = time.monotonic()
        try:
            archive = archives.of(task.market.venue)
            status, receipt, downloaded, error = _bring_up_to_date(
                task, archive, zone, now, decoding, downloads, waiting
            )
            outcome = Outcome(task, status, receipt, error, time.monotonic() - started, downloaded)
        except IngestionError as fault:
            outcome = Outcome(task, "failed", None, fault, time.monotonic() - started)
        except OSError as fault:
            full = StorageError(f"{task}: {fault}; check free space and permissions of the temporary folder")
            outcome = Outcome(task, "failed", None, full, time.monotonic() - started)
        except Exception as fault:  # a fault of ours in one object must not take the others with it
            bug = IngestionError(f"{task}: unexpected {type(fault).__name__}: {fault}; nothing of it was stored")
            outcome = Outcome(task, "failed", None, bug, time.monotonic() - started)
        if is_last_word or not isinstance(outcome.error, AbsenceUnknown):
            downloads.release(_shared_keys(task))
            with reporting:
                report(outcome)
        return outcome

    waiting: dict[Task, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory(prefix="taker-") as shared, ThreadPoolExecutor(_CONNECTIONS) as pool:
        downloads = SharedDownloads(map(_shared_keys, tasks), Path(shared))
        outcomes = list(pool.map(partial(run, is_last_word=False), tasks))
        # Whether a file is absent or kept from us is known once the archive has served any other.
        undecided = [outcome.task for outcome in outcomes if isinstance(outcome.error, AbsenceUnknown)]
        for venue in {task.market.venue for task in undecided}:
            archives.of(venue).serves_any(
                _likely_keys([task for task in undecided if task.market.venue == venue], zone)
            )
        decided = dict(zip(undecided, pool.map(partial(run, is_last_word=True), undecided), strict=True))
    outcomes = [decided.get(outcome.task, outcome) for outcome in outcomes]
    absent = [outcome.task for outcome in outcomes if outcome.status == "absent"]
    for text in (*archives.notices, *_waiting_texts(waiting, absent)):
        notice(text)
    return outcomes


def _shared_keys(task: Task) -> list[str]:
    """The objects of the task that may be another one's as well: those that are cut at other instants than a period."""
    objects = _archive(task).objects(task.dataset, task.market, task.interval, task.period)
    keys = []
    for source in objects:
        each: SourceObject | None = source if source.holds is not None else None
        while each is not None:
            keys.append(each.key)
            each = each.otherwise
    return keys


def _waiting_texts(waiting: Mapping[Task, tuple[str, ...]], absent: Iterable[Task]) -> Iterator[str]:
    """Of each market, the days of which the archive has a part and lacks another, with the objects that are lacking."""
    by_market: dict[str, list[str]] = {}
    for task in absent:
        if waiting.get(task):
            days = by_market.setdefault(f"{task.market} {task.dataset.name}", [])
            days.append(f"{task.period} ({', '.join(waiting[task])})")
    for what, days in by_market.items():
        yield (
            f"{what}: only a part of these days is in the archive yet, so that they are not stored: {', '.join(days)}; "
            "run again when the files are there"
        )


def _likely_keys(tasks: Sequence[Task], zone: RawZone) -> Iterator[str]:
    """Keys that the archive of these tasks has if it serves us at all: what was read of it before, then what every
    dataset would be called for the first and the last of the days."""
    held = (zone.receipt(task.object_id) for task in tasks[:_MOST_PROBES])
    yield from (source.key for receipt in held if receipt for source in receipt.sources[:1])
    for task in (tasks[-1], tasks[0]):
        archive = _archive(task)
        for dataset, span in product(ARCHIVED.values(), Span):
            for interval in KLINE_INTERVALS if dataset.has_interval else ("",):
                if archive.publishes(dataset, task.market, task.first_day):
                    period = Period.holding(task.first_day, span)
                    yield from (s.key for s in archive.objects(dataset, task.market, interval, period))


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
            archive = archives.of(task.market.venue)
            offer = _Offer(asked, held, archive, retries=False)
            try:
                published = offer.published()
            except AbsenceUnknown:
                if not archive.serves_any(_likely_keys([task], zone)):
                    raise
                published = offer.published()
            for refusal in offer.refusals.values():
                if (
                    not refusal.sha256 and not refusal.fingerprint
                ):  # its checksum cannot be read, so nothing can be said of it
                    report(Outcome(task, "refused", held, SourceDefect(refusal.reason)))
            return bool(published.units) and not _describes(held, offer.task, published, offer.refusals.values())
        except IngestionError as error:
            report(Outcome(task, "failed", None, error))
            return False

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return [task for task, differs in zip(tasks, pool.map(changed, tasks), strict=True) if differs]


@dataclass(frozen=True)
class _Unit:
    """The objects that together hold one period, each with its proof."""

    period: Period
    parts: tuple[tuple[SourceObject, Proof], ...]

    @property
    def keys(self) -> str:
        return " ".join(source.key for source, _ in self.parts)


@dataclass(frozen=True)
class _Published:
    """What the archive has for a task that can be used as far as is known, and the days that none was found for.

    `whole`: the first unit holds the entire period; then `missing` names only days that it is known to lack.
    """

    units: tuple[_Unit, ...]
    missing: tuple[date, ...]
    whole: bool


@dataclass(frozen=True)
class _Refusal:
    """A file that was not used, and why. `sha256`: of its bytes; empty where they were not looked at. `fingerprint`: as
    in `Source`; of bytes that differ from the published checksum, that checksum."""

    key: str
    period: Period
    reason: str
    sha256: str
    fingerprint: str = ""

    @property
    def state(self) -> tuple[str, str, str]:
        return self.key, self.sha256, self.fingerprint


class _Unusable(Exception):
    """A file that was offered turned out to be of no use; that is noted, and there may be others in its place."""


class _Offer:
    """What the archive offers for one task, without the files that are known to be of no use.

    `task`: what is wanted, which grows to the whole period where only the period's file has a day of it. Proofs are
    requested once. `refusals`: by key, the files that were met and not used, in this run or, as long as they are
    the same, in an earlier one. `retries`: files whose bytes differed from their checksum are offered again.
    """

    def __init__(
        self,
        task: Task,
        held: Receipt | None,
        archive: Archive,
        downloads: SharedDownloads | None = None,
        *,
        retries: bool = True,
    ) -> None:
        self.task, self.held, self.archive, self.retries = task, held, archive, retries
        self._requested = task
        self._downloads = downloads or SharedDownloads((), Path())
        self.refusals: dict[str, _Refusal] = {}
        self.downloaded = 0
        self._venue = _archive(task)
        self._remembered = _refused_before(held)
        self._proofs: dict[str, Proof | None] = {}
        self._fetched: dict[str, tuple[SourceFile, Proof]] = {}

    def published(self) -> _Published:
        """The fewest objects that hold the task's days: the whole period where it is published, else its days; of a
        part of the period its days, unless one of them has no file of use and the whole period has."""
        task = self.task = self._requested
        wants_whole = _wants_all(task) or not self._is_by_day
        whole = self._unit(task.period) if wants_whole else None
        if whole is None and task.period.span is Span.DAY:
            return _Published((), (task.first_day,), whole=False)
        if whole is None:
            units, missing = self._of_days(list(_days_of(task)))
            whole = self._unit(task.period) if missing and not wants_whole else None
            if whole is None:
                return _Published(units, missing, whole=False)
            # The file brings every day of its period, and each day that is stored is one that the receipt speaks of.
            last_day = min(task.period.last_day, _delivery_day(task.market) or task.period.last_day)
            self.task = replace(task, first_day=task.period.first_day, last_day=last_day)
        late, missing = self._of_days(_days_beside(whole, self.held))
        return _Published((whole, *late), missing, whole=True)

    def _of_days(self, days: Sequence[date]) -> tuple[tuple[_Unit, ...], tuple[date, ...]]:
        """The objects of single days, and the days that there is none of use for."""
        units = self.by_day(days)
        found = {unit.period.first_day for unit in units}
        return units, tuple(day for day in days if day not in found)

    def by_day(self, days: Sequence[date]) -> tuple[_Unit, ...]:
        """The objects of single days that the archive has."""
        if not self._is_by_day:
            return ()
        units = (self._unit(Period.of_day(day)) for day in days)
        return tuple(unit for unit in units if unit is not None)

    def fetched(self, unit: _Unit, folder: Path) -> list[tuple[SourceFile, Proof]]:
        """The unit's files on disk. `_Unusable` when the bytes of one are not those a checksum was published for, or
        when one of several files that may stand in for each other is not there although its checksum is."""
        for source, proof in unit.parts:
            if source.key in self._fetched:
                continue
            try:
                file, known, is_new = _fetched(source, proof, self.archive, folder, self._downloads)
            except ChecksumMismatch as error:
                self.refusals[source.key] = _Refusal(
                    source.key, unit.period, _reason(error), error.received, _differing_from(error.published)
                )
                raise _Unusable from error
            except ObjectGone as error:
                if self.task.period.span is Span.DAY or not self._is_by_day:
                    raise
                state = _differing_from(proof.sha256)
                self.refusals[source.key] = _Refusal(source.key, unit.period, _reason(error), "", state)
                raise _Unusable from error
            self._fetched[source.key] = file, known
            self.downloaded += file.path.stat().st_size if is_new else 0
        return [self._fetched[source.key] for source, _ in unit.parts]

    def refuse(self, unit: _Unit, key: str, reason: str) -> None:
        """Never offer the object again as long as it is the same."""
        _, proof = self._fetched[key]
        self.refusals[key] = _Refusal(key, unit.period, reason, proof.sha256, proof.fingerprint)

    def is_retried(self, unit: _Unit) -> bool:
        """The unit was no use when it was last fetched, and may be now."""
        return any(source.key in self._remembered for source, _ in unit.parts)

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The keys that the archive does not have yet of a period that takes several, where it has others of them."""
        objects = self._venue.objects(self.task.dataset, self.task.market, self.task.interval, self.task.period)
        lacking = tuple(source.key for source in objects if self._offered(source, self.task.period) is None)
        return lacking if len(lacking) < len(objects) else ()

    @property
    def _is_by_day(self) -> bool:
        day = Period.of_day(self.task.first_day)
        return bool(self._venue.objects(self.task.dataset, self.task.market, self.task.interval, day))

    def _unit(self, period: Period) -> _Unit | None:
        """The objects that together hold `period`; None unless the archive has every one of them, and of some use."""
        objects = self._venue.objects(self.task.dataset, self.task.market, self.task.interval, period)
        parts = [self._offered(source, period) for source in objects]
        return _Unit(period, tuple(part for part in parts if part)) if parts and all(parts) else None

    def _offered(self, source: SourceObject, period: Period) -> tuple[SourceObject, Proof] | None:
        """The object with its proof, or the one that stands in for it; None where there is neither, or of no use."""
        found = self._proven(source, period)
        return found or (self._offered(source.otherwise, period) if source.otherwise is not None else None)

    def _proven(self, source: SourceObject, period: Period) -> tuple[SourceObject, Proof] | None:
        """The object with its proof; None where the archive has none, or one that is of no use."""
        if source.key in self.refusals:
            return None
        if source.key not in self._proofs:
            try:
                self._proofs[source.key] = self.archive.proof(source.key)
            except SourceDefect as error:
                self.refusals[source.key] = _Refusal(source.key, period, _reason(error), "")
                return None
        proof = self._proofs[source.key]
        if proof is None:
            return None
        for refused in self._remembered.get(source.key, ()):
            state = refused.source_fingerprint
            is_same = state == proof.fingerprint and proof.sha256 in ("", refused.source_sha256)
            if is_same or (state == _differing_from(proof.sha256) and not self.retries):
                self.refusals[source.key] = _Refusal(
                    source.key, period, refused.reason, refused.source_sha256, refused.source_fingerprint
                )
                return None
        return source, proof


def _bring_up_to_date(
    task: Task,
    archive: Archive,
    zone: RawZone,
    now: datetime,
    decoding: threading.BoundedSemaphore,
    downloads: SharedDownloads,
    waiting: dict[Task, tuple[str, ...]],
) -> tuple[Status, Receipt, int, IngestionError | None]:
    """What became of the task, its receipt, the bytes that were downloaded, and why its file was refused, if it was.

    `waiting` gets the keys that are not there yet of a task of which others are.
    """
    _refuse_the_wrong_archive(task, archive)
    held = zone.receipt(task.object_id)
    asked, task = task, _widened(task, held)
    offer = _Offer(task, held, archive, downloads)
    with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
        while True:
            published = offer.published()
            task = offer.task
            if not published.units:
                waiting[asked] = offer.waits_for
                return _without_files(offer, published, zone, now)
            if held is not None and _describes(held, task, published, offer.refusals.values()):
                return "unchanged", _cleared(task, held, published, zone), offer.downloaded, None
            try:
                made = _made(offer, published, zone, Path(scratch), decoding)
                break
            except _Unusable:
                continue  # one file fewer is offered
        quarantine = made.quarantine if made.quarantine.exists() else None
        receipt = _receipt(task, now, made, offer.refusals.values())
        return "stored", zone.put(task.object_id, made.data, receipt, quarantine), offer.downloaded, None


def _cleared(task: Task, held: Receipt, published: _Published, zone: RawZone) -> Receipt:
    """The receipt without the refusals of files that are offered again as they were when they were used."""
    offered = {source.key for unit in published.units for source, _ in unit.parts}
    still = tuple(d for d in held.defects if d.kind != "refused_source" or d.source_key not in offered)
    if still == held.defects:
        return held
    return zone.put(task.object_id, None, replace(held, defects=still))


def _without_files(
    offer: _Offer, published: _Published, zone: RawZone, now: datetime
) -> tuple[Status, Receipt, int, IngestionError | None]:
    """The archive has no file for the task, or none that can be used: what is held stays."""
    task, held, refusals = offer.task, offer.held, list(offer.refusals.values())
    if not refusals:
        if held is not None and held.status == "stored":
            return "kept", held, offer.downloaded, None
        if held is not None and _describes(held, task, published, refusals):
            return "absent", held, offer.downloaded, None
        absent = _bare_receipt(task, now, "absent", absent_days=published.missing)
        return "absent", zone.put(task.object_id, None, absent), offer.downloaded, None
    defects = tuple(_refused_source(refusal, _day_of(refusal.period)) for refusal in refusals)
    if held is not None and held.status == "stored":
        # The data stays as it is, and so do its revision and the time when it was stored.
        again = {defect.source_key for defect in defects}
        others = (d for d in held.defects if d.kind != "refused_source" or d.source_key not in again)
        receipt = replace(held, defects=(*others, *defects))
        stays = f"the version of {held.known_at:%Y-%m-%d %H:%M} UTC stays in use"
    else:
        receipt = _bare_receipt(task, now, "refused", defects=defects)
        stays = "the venue has no other file for it"
    if held is None or not _is_same(held, receipt):
        held = zone.put(task.object_id, None, receipt)
    said = "; ".join(d.reason if d.source_key in d.reason else f"{d.source_key}: {d.reason}" for d in defects)
    return "refused", held, offer.downloaded, SourceDefect(f"{said}; {stays}")


def _is_same(held: Receipt, receipt: Receipt) -> bool:
    """To store the receipt would change nothing but the time."""
    return receipt == replace(held, known_at=receipt.known_at, revision=receipt.revision)


@dataclass
class _Made:
    """A raw object, ready to be stored. `used`: day → the keys of the files that its rows come from, separated by
    blanks; empty for rows that were stored before. `replaced`: the defects of files that were used, but for some days.
    """

    data: Path
    quarantine: Path
    decoded: Decoded
    sources: tuple[Source, ...]
    absent: Sequence[date]
    used: Mapping[date, str]
    replaced: tuple[Defect, ...] = ()


def _made(
    offer: _Offer, published: _Published, zone: RawZone, folder: Path, decoding: threading.BoundedSemaphore
) -> _Made:
    """The object from the units that are offered. `_Unusable` when one of them is of no use."""
    task, held = offer.task, offer.held
    is_whole = published.whole
    units = [published.units[0]] if is_whole else list(published.units)
    for unit in sorted(units, key=offer.is_retried, reverse=True):  # what may fail at once comes first
        offer.fetched(unit, folder)
    data, quarantine = folder / "data.parquet", folder / "quarantine.parquet"
    decoded = _decoded(offer, units, data, quarantine, folder, decoding)
    # A day's file without rows says that nothing happened.
    lacking = [day for day in _days_of(task) if day not in decoded.day_rows] if task.period.span is Span.MONTH else []
    if not is_whole:
        used = {unit.period.first_day: unit.keys for unit in units}
        carried = _held_rows(held, lacking, zone, task)
        if carried is not None:
            files = [file for unit in units for file, _ in offer.fetched(unit, folder)]
            with decoding:
                decoded = _decode(files, task, data, carried, quarantine)
        absent = [day for day in lacking if day not in decoded.day_rows]
        return _Made(data, quarantine, decoded, _sources(offer, units, decoded, folder), absent, used)
    return _with_days(offer, units[0], decoded, lacking, zone, folder, decoding)


def _with_days(
    offer: _Offer,
    whole: _Unit,
    decoded: Decoded,
    lacking: Sequence[date],
    zone: RawZone,
    folder: Path,
    decoding: threading.BoundedSemaphore,
) -> _Made:
    """The object of a whole period, in which days that it lacks, or has set-aside rows on, come from their own files
    where those are better, and stay as they are held where no file has them any more."""
    task, held = offer.task, offer.held
    data, quarantine = folder / "data.parquet", folder / "quarantine.parquet"
    set_aside: dict[date, int] = {}
    for found in decoded.quarantined if task.period.span is Span.MONTH else ():
        if found.day and task.first_day <= found.day <= task.last_day and not found.reason.startswith(_AFTER_DELIVERY):
            set_aside[found.day] = set_aside.get(found.day, 0) + found.rows
    better: list[_Unit] = []
    for unit in offer.by_day(sorted({*lacking, *set_aside})):
        day = unit.period.first_day
        try:
            offer.fetched(unit, folder)
            alone = _decoded(offer, [unit], folder / "day.parquet", folder / "day.quarantine", folder, decoding)
        except _Unusable:
            continue  # noted; the whole period's rows of that day stay
        bad = sum(found.rows for found in alone.quarantined if not found.reason.startswith(_AFTER_DELIVERY))
        if day in lacking or (bad < set_aside[day] and alone.rows >= decoded.day_rows.get(day, 0)):
            better.append(unit)
        else:
            reason = f"{bad} of its rows are set aside, {set_aside[day]} of those that {whole.keys} has of that day"
            for source, _ in unit.parts:
                offer.refuse(unit, source.key, reason)
    by_file = {unit.period.first_day for unit in better}
    still = [day for day in {*lacking, *set_aside} if day not in by_file]
    # A day that is held with more rows than any file has of it now stays: its file was withdrawn.
    kept = [day for day in still if held and held.day_rows.get(day.isoformat(), 0) > decoded.day_rows.get(day, 0)]
    instead = {**{unit.period.first_day: unit.keys for unit in better}, **dict.fromkeys(kept, "")}
    used = {**dict.fromkeys(decoded.day_rows, whole.keys), **instead}
    replaced = tuple(
        Defect(
            "replaced_source",
            f"{_set_aside(decoded, day)}{'' if instead[day] else _STAYS}",
            day,
            rows=set_aside[day],
            source_key=file.key,
            source_sha256=proof.sha256,
            source_fingerprint=proof.fingerprint,
            used_instead=instead[day],
            judged_by=DECODER_VERSION,
        )
        for day in instead
        if day in set_aside
        for file, proof in offer.fetched(whole, folder)
    )
    carried = _held_rows(held, kept, zone, task)
    if not better and carried is None:
        absent = [day for day in lacking if day not in decoded.day_rows]
        return _Made(data, quarantine, decoded, _sources(offer, [whole], decoded, folder), absent, used, replaced)
    rows = _rows_of_days(pq.read_table(data, partitioning=None), task.dataset, list(instead), among=False)
    rows = rows if carried is None else pa.concat_tables([rows, carried])
    files = [file for unit in better for file, _ in offer.fetched(unit, folder)]
    target, beside = folder / "joined.parquet", folder / "joined.quarantine"
    with decoding:
        joined = _decode(files, task, target, rows, beside)
    kept_aside = [found for found in decoded.quarantined if found.day not in instead]
    total = replace(
        joined,
        source_rows=[*decoded.source_rows, *joined.source_rows],
        zero_rows=decoded.zero_rows + joined.zero_rows,
        duplicate_rows=decoded.duplicate_rows + joined.duplicate_rows,
        out_of_order_rows=decoded.out_of_order_rows + joined.out_of_order_rows,
        quarantined=(*kept_aside, *joined.quarantined),
    )
    _join(quarantine, beside)
    absent = [day for day in lacking if day not in total.day_rows]
    return _Made(target, quarantine, total, _sources(offer, [whole, *better], total, folder), absent, used, replaced)


def _decoded(
    offer: _Offer,
    units: Sequence[_Unit],
    target: Path,
    quarantine: Path,
    folder: Path,
    decoding: threading.BoundedSemaphore,
) -> Decoded:
    """The rows of all files of the units in one. `_Unusable` when it cannot be made; the files at fault are noted."""
    files = [file for unit in units for file, _ in offer.fetched(unit, folder)]
    with decoding:
        try:
            return _decode(files, offer.task, target, None, quarantine)
        except (SourceDefect, ContractViolation) as error:
            together = error
        faults: dict[str, str] = {}
        for file in files if len(files) > 1 else ():
            try:
                _decode([file], offer.task, target, None, quarantine)
            except (SourceDefect, ContractViolation) as error:
                faults[file.key] = _reason(error)
        target.unlink(missing_ok=True)
    for unit in units:
        for source, _ in unit.parts:
            if source.key in faults or not faults:  # each for itself may be good: then they contradict each other
                offer.refuse(unit, source.key, faults.get(source.key, _reason(together)))
    raise _Unusable from together


def _decode(
    files: Sequence[SourceFile], task: Task, target: Path, carried: pa.Table | None, quarantine: Path
) -> Decoded:
    quarantine.unlink(missing_ok=True)
    layout = _archive(task).layout(task.dataset, task.market)
    decoded = decode(files, task.dataset, layout, target, carried, quarantine)
    delivered = task.market.delivers_at
    if delivered is None or decoded.max_at is None or decoded.max_at < delivered:
        return decoded
    return _until_delivery(decoded, task, delivered, files, target, quarantine)


def _until_delivery(
    decoded: Decoded, task: Task, delivered: datetime, files: Sequence[SourceFile], target: Path, quarantine: Path
) -> Decoded:
    """The same without the rows from the delivery of the contract on, which no market can have had: set aside, by hour
    on the day of delivery and by day after it."""
    rows = pq.read_table(target, partitioning=None)
    times = rows.column(task.dataset.time_column)
    late = pc.greater_equal(times, pa.scalar(delivered, type=times.type))
    after = rows.filter(late)
    layout = _archive(task).layout(task.dataset, task.market)
    reason = f"{_AFTER_DELIVERY} {delivered:%Y-%m-%d %H:%M} UTC"
    key = files[0].key if len(files) == 1 else ""
    counts: dict[tuple[date, str | None], int] = {}
    for at in after.column(task.dataset.time_column).to_pylist():
        hour = f"{at:%Y-%m-%dT%H}" if at.date() == delivered.date() else None
        counts[at.date(), hour] = counts.get((at.date(), hour), 0) + 1
    aside = tuple(Quarantined(key, day, hour, reason, count) for (day, hour), count in counts.items())
    _keep_aside(after, key, reason, quarantine)
    kept = rewrite(rows.filter(pc.invert(late)), decoded, task.dataset, layout, target)
    return replace(kept, quarantined=(*decoded.quarantined, *aside))


def _keep_aside(rows: pa.Table, key: str, reason: str, quarantine: Path) -> None:
    """Add rows to the file of those that were set aside, as they would have been stored."""
    beside = quarantine.with_suffix(".late")
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows.to_pylist()]
    columns = {
        "source_key": pa.array([key] * rows.num_rows, pa.string()),
        "row_number": pa.nulls(rows.num_rows, pa.int64()),
        "line": pa.array([line[:1000] for line in lines], pa.string()),
        "reason": pa.array([reason] * rows.num_rows, pa.string()),
    }
    pq.write_table(pa.table(columns), beside, compression="zstd")
    _join(quarantine, beside)


def _sources(offer: _Offer, units: Sequence[_Unit], decoded: Decoded, folder: Path) -> tuple[Source, ...]:
    fetched = [found for unit in units for found in offer.fetched(unit, folder)]
    return tuple(
        Source(file.key, proof.sha256, file.path.stat().st_size, rows, proof.fingerprint)
        for (file, proof), rows in zip(fetched, decoded.source_rows, strict=True)
    )


def _join(quarantine: Path, beside: Path) -> None:
    """Both files' rows in the first of them."""
    if beside.exists():
        tables = [pq.read_table(path, partitioning=None) for path in (quarantine, beside) if path.exists()]
        pq.write_table(pa.concat_tables(tables), quarantine, compression="zstd")


def _refuse_the_wrong_archive(task: Task, archive: Archive) -> None:
    """Simulated files have the very names of real ones; only the archive itself says which they are."""
    if archive.has_marker(SIMULATION_MARKER, SIMULATION_WORD) == (task.market.venue == SIMULATED_VENUE):
        return
    is_what, symbol = (
        ("simulated", task.market.symbol)
        if archive.has_marker(SIMULATION_MARKER, SIMULATION_WORD)
        else ("not simulated", "")
    )
    asked = f"simulated:{symbol}" if symbol else "a market of a real venue"
    raise SourceDefect(
        f"{task}: the archive {archive.url} is {is_what}, so {task.market.market_id} cannot come from it; "
        f"ask for {asked}, or set {archive.setting} to the archive you mean"
    )


def _fetched(
    source: SourceObject, proof: Proof, archive: Archive, folder: Path, downloads: SharedDownloads
) -> tuple[SourceFile, Proof, bool]:
    """The file on disk, the proof of its bytes, and whether it was downloaded just now."""
    download, is_new = downloads.download(source.key, proof, archive, folder)
    file = SourceFile(download.path, source.key, source.period, source.holds, source.is_shared)
    return file, download.proof, is_new


def _widened(task: Task, held: Receipt | None) -> Task:
    """The task together with the days the object already covers: asking for less never loses a day."""
    if held is None:
        return task
    first, last = min(task.first_day, held.first_day), max(task.last_day, held.last_day)
    delivery = _delivery_day(task.market)
    return replace(task, first_day=first, last_day=min(last, delivery) if delivery and delivery >= first else last)


def _delivery_day(market: Market) -> date | None:
    return market.delivers_at.date() if market.delivers_at else None


def _wants_all(task: Task) -> bool:
    """Every day of the period is wanted that can have rows."""
    last = min(task.period.last_day, _delivery_day(task.market) or task.period.last_day)
    return (task.first_day, task.last_day) == (task.period.first_day, last)


def _archive(task: Task) -> VenueArchive:
    """The layout of the task's venue: only venues with an archive have tasks."""
    archive = archive_of(task.market)
    if archive is None:
        raise IngestionError(f"{task}: {task.market.venue} has no archive of files; ask its api instead")
    return archive


def _days_beside(whole: _Unit, held: Receipt | None) -> list[date]:
    """The days that the objects of the whole period were found to lack, or to have set-aside rows on, when they were
    last read: their own files may be better."""
    keys = {source.key for source, _ in whole.parts}
    if held is None or not keys <= {source.key for source in held.sources}:
        return []
    by_day = [date.fromisoformat(_day_in(s.key)) for s in held.sources if s.key not in keys]
    aside = [d for d in held.defects if d.kind == "quarantined_rows" and d.source_key in keys]
    faulty = [d.day for d in aside if d.day and not d.reason.startswith(_AFTER_DELIVERY)]
    inside = [day for day in faulty if held.first_day <= day <= held.last_day]
    return sorted({*held.absent_days, *by_day, *inside})


def _refused_before(held: Receipt | None) -> dict[str, list[Defect]]:
    """The files that today's decoder refused before, by key. What an older one refused or used is judged anew."""
    found: dict[str, list[Defect]] = {}
    if held is None:
        return found
    used = {(source.key, source.sha256) for source in held.sources}
    for defect in held.defects:
        if defect.judged_by != DECODER_VERSION or defect.kind not in ("replaced_source", "refused_source"):
            continue
        # Of a whole period that was used, single days may have been replaced; what an older decoder used of a file that
        # today's refuses is no use of it.
        is_used = (defect.source_key, defect.source_sha256) in used
        by_an_older_one = defect.kind == "refused_source" and held.decoder_version != DECODER_VERSION
        if not is_used or by_an_older_one:
            found.setdefault(defect.source_key, []).append(defect)
    return found


def _day_in(key: str) -> str:
    """The day that a day's object names, `YYYY-MM-DD`; empty where it names none."""
    found = _DAY.findall(key)
    return found[-1] if found else ""


def _held_rows(held: Receipt | None, days: Sequence[date], zone: RawZone, task: Task) -> pa.Table | None:
    """The stored rows of those of `days` that we hold rows of, though no file has them any more; None without any."""
    gone = [day for day in days if held is not None and held.day_rows.get(day.isoformat())]
    return _rows_of_days(zone.rows(task.object_id), task.dataset, gone) if gone else None


def _rows_of_days(rows: pa.Table, dataset: Dataset, days: Sequence[date], *, among: bool = True) -> pa.Table:
    """The rows of `days`, or, unless `among`, of every other day."""
    days_of_rows = rows.column(dataset.time_column).cast(pa.timestamp("us")).cast(pa.date32())
    found = pc.is_in(days_of_rows, value_set=pa.array(days, pa.date32()))
    return rows.filter(found if among else pc.invert(found))


def _days_of(task: Task) -> Iterator[date]:
    return days_between(task.first_day, task.last_day)


def _differing_from(published: str) -> str:
    """How a refusal names the published checksum that the bytes did not have."""
    return f"published sha256={published}"


def _describes(held: Receipt, task: Task, published: _Published, refusals: Iterable[_Refusal]) -> bool:
    """The receipt is what ingesting these sources for these days would give."""
    sources = {(source.key, source.fingerprint or source.sha256) for source in held.sources}
    # A file that was withdrawn leaves its rows with us, and its name in the receipt.
    parts = [part for unit in published.units for part in unit.parts]
    offered = {(source.key, proof.fingerprint or proof.sha256) for source, proof in parts}
    days = {day.isoformat() for day in published.missing}
    withdrawn = {(key, state) for key, state in sources - offered if _day_in(key) in days}
    recorded = {(d.source_key, d.source_sha256, d.source_fingerprint) for d in held.defects}
    return (
        held.decoder_version == DECODER_VERSION
        and held.status != "refused"
        and (held.first_day, held.last_day) == (task.first_day, task.last_day)
        and not _has_rows_after_delivery(held, task.market)
        and sources - withdrawn == offered
        and {refusal.state for refusal in refusals} <= recorded
        and all(day in held.absent_days or held.day_rows.get(day.isoformat()) for day in published.missing)
    )


def _has_rows_after_delivery(held: Receipt, market: Market) -> bool:
    return bool(held.max_at and market.delivers_at and held.max_at >= market.delivers_at)


def _day_of(period: Period) -> date | None:
    return period.first_day if period.span is Span.DAY else None


def _reason(error: IngestionError) -> str:
    """What is wrong with the file, in one sentence without a full stop."""
    text = "; ".join(error.faults) if isinstance(error, ContractViolation) else _NOTHING_STORED.sub("", str(error))
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"


def _set_aside(decoded: Decoded, day: date) -> str:
    """Why rows of that day were set aside."""
    reasons = sorted({found.reason for found in decoded.quarantined if found.day == day})
    return f"rows set aside: {'; '.join(reasons)}"[:_LONGEST_REASON]


def _refused_source(refusal: _Refusal, day: date | None) -> Defect:
    return Defect(
        "refused_source",
        refusal.reason,
        day,
        source_key=refusal.key,
        source_sha256=refusal.sha256,
        source_fingerprint=refusal.fingerprint,
        judged_by=DECODER_VERSION,
    )


def _refusal_defects(refusal: _Refusal, task: Task, made: _Made) -> Iterator[Defect]:
    """What was used in place of a file that could not be, day by day, and the days that nothing was found for."""
    day_of_file = _day_of(refusal.period)
    for day in [day_of_file] if day_of_file else _days_of(task):
        defect = _refused_source(refusal, day)
        if not made.decoded.day_rows.get(day):
            yield defect
        elif made.used.get(day):
            yield replace(defect, kind="replaced_source", used_instead=made.used[day])
        else:
            yield replace(defect, kind="replaced_source", reason=f"{refusal.reason}{_STAYS}")


def _defects(task: Task, made: _Made, refusals: Iterable[_Refusal]) -> tuple[Defect, ...]:
    """Everything that was published and not used as it was published, in a fixed order."""
    refused = (defect for refusal in refusals for defect in _refusal_defects(refusal, task, made))
    found = [*made.replaced, *refused, *_quarantined(made), *_implausible(made)]
    return tuple(sorted(found, key=lambda d: (d.day or date.min, d.hour or "", d.kind, d.source_key, d.reason)))


def _implausible(made: _Made) -> Iterator[Defect]:
    """The days whose trades can be no market's. They are stored as published; flow must not use them."""
    for day, facts in made.decoded.day_facts.items():
        for reason in doubts(facts):
            yield Defect("implausible", reason, day, None, facts.rows, *_file_of(made, day))


def _file_of(made: _Made, day: date) -> tuple[str, str]:
    """The key and sha256 of the one file that the day was read from; empty where there are several."""
    files = [source for source in made.sources if len(made.sources) == 1 or _day_in(source.key) == day.isoformat()]
    return (files[0].key, files[0].sha256) if len(files) == 1 else ("", "")


def _quarantined(made: _Made) -> list[Defect]:
    """The rows set aside, summed by hour and kind of reason; where that would be too many by hour, or else by day."""
    sha256 = {source.key: source.sha256 for source in made.sources}
    for by_hour, by_reason in ((True, True), (True, False), (False, False)):
        summed: dict[tuple[str, date | None, str | None, str], Defect] = {}
        for found in made.decoded.quarantined:
            hour = found.hour if by_hour else None
            place = (found.source_key, found.day, hour, _NUMBERS.sub("#", found.reason) if by_reason else "")
            before = summed.get(place)
            summed[place] = Defect(
                "quarantined_rows",
                before.reason if before else found.reason[:_LONGEST_REASON],
                found.day,
                hour,
                found.rows + (before.rows if before else 0),
                found.source_key,
                sha256.get(found.source_key, ""),
            )
        if len(summed) <= _MOST_QUARANTINED:
            break
    return list(summed.values())


def _bare_receipt(
    task: Task,
    now: datetime,
    status: Literal["absent", "refused"],
    *,
    absent_days: Sequence[date] = (),
    defects: tuple[Defect, ...] = (),
) -> Receipt:
    """The receipt of an object without data."""
    return Receipt(
        dataset=task.dataset.name,
        venue=task.market.venue,
        symbol=task.market.symbol,
        interval=task.interval,
        period=task.period.label,
        status=status,
        first_day=task.first_day,
        last_day=task.last_day,
        known_at=now,
        decoder_version=DECODER_VERSION,
        absent_days=tuple(sorted(set(absent_days))),
        defects=defects,
    )


def _receipt(task: Task, now: datetime, made: _Made, refusals: Iterable[_Refusal]) -> Receipt:
    found = made.decoded
    return replace(
        _bare_receipt(task, now, "absent", absent_days=made.absent, defects=_defects(task, made, refusals)),
        status="stored",
        rows=found.rows,
        stored_bytes=made.data.stat().st_size,
        day_rows={day.isoformat(): rows for day, rows in found.day_rows.items()},
        id_gaps=found.id_gaps,
        duplicate_rows=found.duplicate_rows,
        zero_rows=found.zero_rows,
        out_of_order_rows=found.out_of_order_rows,
        first_id=found.first_id,
        last_id=found.last_id,
        min_at=found.min_at,
        max_at=found.max_at,
        sources=made.sources,
        stored_sha256=_sha256(made.data),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
