"""Which tasks there is something to do for, found out without storing anything.

Belongs here: the comparison of what the archives have with what is stored. Does not: remembering what was found
(`ingestion.archive.findings`), one task (`ingestion.archive.ingest`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ingestion.archive.findings import Findings
from ingestion.archive.ingest import ingest
from ingestion.archive.tasks import Outcome, Series, Status, Task, expected_keys
from ingestion.domain.errors import ArchiveUnavailable
from ingestion.domain.periods import Period
from ingestion.http.archives import Archives
from ingestion.raw.index import Listed
from ingestion.raw.names import RECEIPT
from ingestion.raw.zone import DryZone


class Known(NamedTuple):
    """An object that was not looked at: what was found of it before still holds."""

    dataset: str
    period: Period
    status: Status


@dataclass(frozen=True)
class Compared:
    """`known`: what was not looked at, in no order that counts. `outcomes`: of the other tasks, in their order, as
    carrying them out would have them; `due` where that would change, or record, something."""

    known: Sequence[Known]
    outcomes: Sequence[Outcome]


def compare(
    wanted: Sequence[Series],
    *,
    archives: Archives,
    zone: DryZone,
    listed: Listed,
    findings: Findings,
    now: datetime,
    scratch: Path | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> Compared:
    """What of these series is as it was found before, and the outcomes of the rest.

    `listed`: the zone. Of what is known neither a receipt nor a file is read, and no task is made: of a large zone that
    would cost more than to find that nothing changed. Downloads no file.
    """
    venues = {series.market.venue for series in wanted}
    for venue in venues:
        with suppress(ArchiveUnavailable):  # it is reported for its objects
            of_venue = (series for series in wanted if series.market.venue == venue)
            archives.of(venue).expect(key for each in of_venue for task in each.tasks() for key in expected_keys(task))

    def judged(series: Series) -> tuple[list[Known], list[Task]]:
        holding, known, unknown = findings.holding(series), [], []
        for part in series.parts():
            period, first, last = part
            found = holding.get(period.partition)
            if found is not None and found.first_day == first and found.last_day == last:
                known.append(Known(series.dataset.name, period, found.status))
            elif (task := series.task(*part)) is not None:
                unknown.append(task)
                _look(task, archives)
        return known, unknown

    with ThreadPoolExecutor(archives.at_once(venues)) as pool:
        parts = list(pool.map(judged, wanted))
    known = [each for some, _ in parts for each in some]
    tasks = [task for _, some in parts for task in some]
    is_stored = [bool(listed.version(task.object_id.folder + RECEIPT)) for task in tasks]
    looked_at = ingest(
        [task for task, stored in zip(tasks, is_stored, strict=True) if stored],
        archives=archives,
        zone=zone,
        now=now,
        scratch=scratch,
        # Of parts that were not listed only versions are known.
        listed=listed.objects if listed.parts is None else None,
        notice=notice,
    )
    following = iter(looked_at)
    outcomes = [
        _to_be_recorded(next(following), findings) if stored else Outcome(task, "due", None)
        for task, stored in zip(tasks, is_stored, strict=True)
    ]
    return Compared(known, outcomes)


def _look(task: Task, archives: Archives) -> None:
    """What the task may request is seen before it is looked at: what changes meanwhile is noticed by the next run."""
    archive = archives.of(task.market.venue)
    for key in expected_keys(task):
        archive.state(key)


def _to_be_recorded(outcome: Outcome, findings: Findings) -> Outcome:
    """The outcome; `due` where nothing changed but that this installation has no record of it yet."""
    if outcome.receipt is None or findings.is_recorded(outcome.task.object_id.folder, outcome.receipt):
        return outcome
    return replace(outcome, status="due", receipt=None)
