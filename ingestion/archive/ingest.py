"""The order of work: proof → fetch → verify → decode → put → receipt, for many objects in parallel.

Belongs here: `ingest` and `changed_sources`, and what happens when there is no usable file.
Does not: the steps (`ingestion.archive.offer`, `make`, `defects`), schedules, settings.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ingestion.archive.defects import bare_receipt, describes, refused_source, stored_receipt
from ingestion.archive.make import make
from ingestion.archive.offer import Offer, Published, Refusal, Unusable
from ingestion.archive.tasks import Outcome, Status, Task, day_of, expected_keys, shared_keys, venue_archive, widened
from ingestion.decode.decoder import DECODER_VERSION
from ingestion.domain.datasets import ARCHIVED, KLINE_INTERVALS
from ingestion.domain.errors import (
    AbsenceUnknown,
    ArchiveUnavailable,
    Due,
    IngestionError,
    SourceDefect,
    StorageError,
)
from ingestion.domain.periods import Period, Span
from ingestion.http.archives import Archives
from ingestion.http.downloads import SharedDownloads
from ingestion.http.fetch import Archive
from ingestion.raw.receipts import Receipt
from ingestion.raw.soundness import Inspector
from ingestion.raw.store import StoredObject
from ingestion.raw.zone import RawZone
from ingestion.venues import venue_of
from ingestion.venues.simulated import SIMULATION_MARKER, SIMULATION_WORD

# The number of receipts that are read to find a file that the archive has.
_MOST_PROBES: Final = 5


def ingest(
    tasks: Sequence[Task],
    *,
    archives: Archives,
    zone: RawZone,
    now: datetime,
    workers: int | None = None,
    scratch: Path | None = None,
    listed: dict[str, StoredObject] | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Bring every task's object up to date, in parallel; outcomes in task order.

    `archives`: each venue's own. One object's fault does not stop the others: it becomes a `failed` or `refused`
    outcome. `report` is called as each object ends, from one thread at a time; `notice` at the end, with findings
    about an archive as a whole. Memory is bounded by `workers` files at once (default: the number of cores).
    `scratch`: where files are put together; the system's folder for temporary files when it is None. On a `DryZone`
    nothing is stored, and a task that is not up to date is `due`. `listed`: the objects of the zone, by key; without
    them, the folders that are needed are listed.
    """
    with (
        TemporaryDirectory(prefix="taker-", dir=scratch) as shared,
        ThreadPoolExecutor(archives.at_once({task.market.venue for task in tasks})) as pool,
    ):
        downloads = SharedDownloads(map(shared_keys, tasks), Path(shared))
        run = _Run(archives, Inspector(zone.store, listed), zone, now, workers, report, downloads, scratch)
        expect(tasks, archives)
        outcomes = list(pool.map(partial(run.outcome, is_final=False), tasks))
        # Whether a file is absent or withheld is known once the archive has served any other.
        undecided = [outcome.task for outcome in outcomes if isinstance(outcome.error, AbsenceUnknown)]
        for venue in {task.market.venue for task in undecided}:
            own = [task for task in undecided if task.market.venue == venue]
            archives.of(venue).serves_any(_likely_keys(own, zone))
        decided = dict(zip(undecided, pool.map(partial(run.outcome, is_final=True), undecided), strict=True))
    # To look up a task costs more than to bring it up to date where nothing is to be done.
    outcomes = [decided.get(outcome.task, outcome) for outcome in outcomes] if decided else outcomes
    absent = [outcome.task for outcome in outcomes if outcome.status == "absent"] if run.waiting else []
    for text in (*archives.notices, *run.restored.values(), *_waiting_texts(run.waiting, absent)):
        notice(text)
    return outcomes


def expect(tasks: Sequence[Task], archives: Archives) -> None:
    """Announce what may be requested of each archive. One that cannot be opened is reported for its objects."""
    for venue in {task.market.venue for task in tasks}:
        with suppress(ArchiveUnavailable):
            archives.of(venue).expect(
                key for task in tasks if task.market.venue == venue for key in expected_keys(task)
            )


class _Run:
    """One call of `ingest`: what its tasks share. Safe to share between threads.

    `waiting`: by task, the keys that the archive does not have yet though it has others of the same period. `restored`:
    by task, that its stored object was damaged and what became of it.
    """

    def __init__(
        self,
        archives: Archives,
        inspector: Inspector,
        zone: RawZone,
        now: datetime,
        workers: int | None,
        report: Callable[[Outcome], None],
        downloads: SharedDownloads,
        scratch: Path | None,
    ) -> None:
        self.scratch = scratch
        self.archives, self.zone, self.now, self.report, self.downloads = archives, zone, now, report, downloads
        self.decoding = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
        self.waiting: dict[Task, tuple[str, ...]] = {}
        self.restored: dict[Task, str] = {}
        self.inspector = inspector
        self._reporting = threading.Lock()

    def outcome(self, task: Task, *, is_final: bool) -> Outcome:
        """What became of the task; reported, unless it is to be decided once more."""
        started = time.monotonic()
        try:
            outcome = replace(_bring_up_to_date(task, self), seconds=time.monotonic() - started)
        except Due:
            outcome = Outcome(task, "due", None, None, time.monotonic() - started)
        except IngestionError as fault:
            outcome = Outcome(task, "failed", None, fault, time.monotonic() - started)
        except OSError as fault:
            full = StorageError(f"{task}: {fault}; check free space and permissions of the temporary folder")
            outcome = Outcome(task, "failed", None, full, time.monotonic() - started)
        except Exception as fault:  # an error in this code for one object must not stop the others
            bug = IngestionError(f"{task}: unexpected {type(fault).__name__}: {fault}; nothing of it was stored")
            outcome = Outcome(task, "failed", None, bug, time.monotonic() - started)
        if is_final or not isinstance(outcome.error, AbsenceUnknown):
            self.downloads.release(shared_keys(task))
            with self._reporting:
                self.report(outcome)
        return outcome


def _waiting_texts(waiting: Mapping[Task, tuple[str, ...]], absent: Iterable[Task]) -> Iterator[str]:
    """Per market, the days of which the archive has only a part, with the missing objects."""
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
    """Keys that the archive of these tasks has if it answers at all: those read before, then the objects of every
    dataset for the first and the last of the days."""
    held = (zone.receipt(task.object_id) for task in tasks[:_MOST_PROBES])
    yield from (source.key for receipt in held if receipt for source in receipt.sources[:1])
    for task in (tasks[-1], tasks[0]):
        archive = venue_archive(task)
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
    """The tasks that were ingested before and whose files have changed, by checksum or by what the server reports of
    them. Downloads no file.

    What is stored damaged has changed too. An object that cannot be judged is reported as a `failed` outcome and left
    out.
    """

    inspector = Inspector(zone.store)
    expect(tasks, archives)

    def changed(task: Task) -> bool:
        try:
            held = zone.receipt(task.object_id)
            if held is None:
                return False  # it was never ingested
            requested = widened(task, held)
            archive = archives.of(task.market.venue)
            offer = Offer(requested, held, archive, retries=False)
            try:
                published = offer.published()
            except AbsenceUnknown:
                if not archive.serves_any(_likely_keys([task], zone)):
                    raise
                published = offer.published()
            for refusal in offer.refusals.values():
                if (
                    not refusal.sha256 and not refusal.fingerprint
                ):  # its checksum cannot be read, so it cannot be judged
                    report(Outcome(task, "refused", held, SourceDefect(refusal.reason)))
            is_described = describes(held, offer.task, published, offer.refusals.values())
            is_sound = inspector.fault(task.object_id.folder, held) is None
            return bool(published.units) and not (is_described and is_sound)
        except IngestionError as error:
            report(Outcome(task, "failed", None, error))
            return False

    with ThreadPoolExecutor(archives.at_once({task.market.venue for task in tasks})) as pool:
        return [task for task, differs in zip(tasks, pool.map(changed, tasks), strict=True) if differs]


def _bring_up_to_date(task: Task, run: _Run) -> Outcome:
    zone, archive = run.zone, run.archives.of(task.market.venue)
    _refuse_the_wrong_archive(task, archive)
    held = zone.receipt(task.object_id)
    fault = run.inspector.fault(task.object_id.folder, held)
    # Nothing of a damaged object is used again.
    usable = replace(held, day_rows={}) if held and fault else held
    offer = Offer(widened(task, held), usable, archive, run.downloads)
    status, receipt, error = _as_offered(task, offer, held, fault, run)
    # That an archive has only a part of a day's files is stated by each run.
    rests_on = None if task in run.waiting else offer.rests_on
    return Outcome(task, status, receipt, error, bytes_downloaded=offer.downloaded, rests_on=rests_on)


def _as_offered(
    requested: Task, offer: Offer, held: Receipt | None, fault: str | None, run: _Run
) -> tuple[Status, Receipt, IngestionError | None]:
    """The status of the task, its receipt, and why its file was refused, if it was."""
    zone = run.zone
    scratch: Path | None = None
    with ExitStack() as until_stored:
        while True:
            published = offer.published()
            task = offer.task
            if not published.units:
                if waits_for := offer.waits_for:
                    run.waiting[requested] = waits_for
                if fault:
                    raise StorageError(_lost(task, fault, offer))
                return _without_files(offer, published, zone, run.now)
            if held is not None and not fault and describes(held, task, published, offer.refusals.values()):
                return "unchanged", _cleared(task, held, published, zone), None
            zone.will_store()
            # Only here: most objects are as they were, and to make a folder costs more than to find that out.
            scratch = scratch or Path(until_stored.enter_context(TemporaryDirectory(prefix="taker-", dir=run.scratch)))
            try:
                made = make(offer, published, zone, scratch, run.decoding)
                break
            except Unusable:
                continue  # one file fewer is offered
        quarantine = made.quarantine if made.quarantine.exists() else None
        receipt = stored_receipt(task, run.now, made, offer.refusals.values())
        if held is not None and fault:
            run.restored[requested] = f"{task}: what was stored {fault}; it was fetched again"
            if _is_same(held, receipt):
                receipt = replace(receipt, known_at=held.known_at)
        return "stored", zone.put(task.object_id, made.data, receipt, quarantine), None


def _lost(task: Task, fault: str, offer: Offer) -> str:
    """That a damaged object cannot be fetched again, and what to do."""
    refusals = [f"{refusal.key}: {refusal.reason}" for refusal in offer.refusals.values()]
    why = f"the archive's files cannot be used ({'; '.join(refusals)})" if refusals else "the archive has no file of it"
    object_id = task.object_id
    return (
        f"{task}: what was stored {fault}, and {why}; its days are not covered. Restore {object_id.data_key} from a "
        f"copy, or delete {object_id.receipt_key} to give it up"
    )


def _cleared(task: Task, held: Receipt, published: Published, zone: RawZone) -> Receipt:
    """The receipt without the refusals of files that are offered again as they were when they were used."""
    offered = {source.key for unit in published.units for source, _ in unit.parts}
    still = tuple(d for d in held.defects if d.kind != "refused_source" or d.source_key not in offered)
    if still == held.defects:
        return held
    return zone.put(task.object_id, None, replace(held, defects=still))


def _without_files(
    offer: Offer, published: Published, zone: RawZone, now: datetime
) -> tuple[Status, Receipt, IngestionError | None]:
    """The archive has no file for the task, or none that can be used: what is stored stays."""
    task, held, refusals = offer.task, offer.held, list(offer.refusals.values())
    if not refusals:
        if held is not None and held.status == "stored":
            return "kept", held, None
        if held is not None and describes(held, task, published, refusals):
            return "absent", held, None
        absent = bare_receipt(task, now, "absent", absent_days=published.missing)
        return "absent", zone.put(task.object_id, None, absent), None
    defects = tuple(refused_source(refusal, day_of(refusal.period)) for refusal in refusals)
    if held is not None and held.status == "stored" and not _was_made_of(held, refusals):
        # The data stays as it is, and so do its revision and the time when it was stored.
        again = {defect.source_key for defect in defects}
        others = (d for d in held.defects if d.kind != "refused_source" or d.source_key not in again)
        receipt = replace(held, defects=(*others, *defects))
        stays = f"the version of {held.known_at:%Y-%m-%d %H:%M} UTC stays in use"
    else:
        receipt = bare_receipt(task, now, "refused", defects=defects)
        was_stored = held is not None and held.status == "stored"
        stays = "what an older version made of it is not used" if was_stored else "the venue has no other file for it"
    if held is None or not _is_same(held, receipt):
        held = zone.put(task.object_id, None, receipt)
    reasons = "; ".join(d.reason if d.source_key in d.reason else f"{d.source_key}: {d.reason}" for d in defects)
    return "refused", held, SourceDefect(f"{reasons}; {stays}")


def _was_made_of(held: Receipt, refusals: Sequence[Refusal]) -> bool:
    """What is stored was made by an older decoder of the very bytes that the current one refuses."""
    used = {(source.key, source.sha256) for source in held.sources}
    return held.decoder_version != DECODER_VERSION and any((each.key, each.sha256) in used for each in refusals)


def _is_same(held: Receipt, receipt: Receipt) -> bool:
    """Storing the receipt would change only its time."""
    return receipt == replace(held, known_at=receipt.known_at, revision=receipt.revision)


def _refuse_the_wrong_archive(task: Task, archive: Archive) -> None:
    """Simulated files have the same names as real ones; only the archive's marker distinguishes them."""
    is_simulated = archive.has_marker(SIMULATION_MARKER, SIMULATION_WORD)
    if is_simulated == venue_of(task.market.venue).is_simulated:
        return
    is_what, symbol = ("simulated", task.market.symbol) if is_simulated else ("not simulated", "")
    wanted = f"simulated:{symbol}" if symbol else "a market of a real venue"
    raise SourceDefect(
        f"{task}: the archive {archive.url} is {is_what}, so {task.market.market_id} cannot come from it; "
        f"ask for {wanted}, or set {archive.setting} to the archive you mean"
    )
