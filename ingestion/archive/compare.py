"""Which tasks there is something to do for, found out without storing anything.

Belongs here: the comparison of what the archives have with what is stored. Does not: remembering what was found
(`ingestion.archive.findings`), one task (`ingestion.archive.ingest`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ingestion.archive.findings import Findings
from ingestion.archive.ingest import expect, ingest
from ingestion.archive.tasks import Outcome, Task, expected_keys
from ingestion.http.archives import Archives
from ingestion.raw.index import Listed
from ingestion.raw.names import RECEIPT
from ingestion.raw.zone import DryZone


def compare(
    tasks: Sequence[Task],
    *,
    archives: Archives,
    zone: DryZone,
    listed: Listed,
    findings: Findings,
    now: datetime,
    scratch: Path | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """The outcome of each task, in their order, as carrying it out would have it; `due` where that would change, or
    record, something.

    `listed`: the zone. Of a task whose finding holds, neither its receipt nor its files are
    read, and the outcome has no receipt. Downloads no file.
    """
    expect(tasks, archives)
    by_series: dict[tuple[str, str, str], list[int]] = {}
    for number, task in enumerate(tasks):
        by_series.setdefault((task.dataset.name, task.market.market_id, task.interval), []).append(number)
    outcomes: list[Outcome | None] = [None] * len(tasks)

    def judge(series: Sequence[int]) -> None:
        for number in series:
            outcomes[number] = _as_known(tasks[number], archives, listed, findings)

    # A series at a time: handing over each task costs more than to find that nothing changed.
    with ThreadPoolExecutor(archives.at_once({task.market.venue for task in tasks})) as pool:
        list(pool.map(judge, by_series.values()))
    unknown = [number for number, outcome in enumerate(outcomes) if outcome is None]
    looked_at = ingest(
        [tasks[number] for number in unknown],
        archives=archives,
        zone=zone,
        now=now,
        scratch=scratch,
        # Of parts that were not listed only versions are known.
        listed=listed.objects if listed.parts is None else None,
        notice=notice,
    )
    for number, outcome in zip(unknown, looked_at, strict=True):
        outcomes[number] = _to_be_recorded(outcome, findings)
    return [outcome for outcome in outcomes if outcome is not None]


def _as_known(task: Task, archives: Archives, listed: Listed, findings: Findings) -> Outcome | None:
    """The outcome where it is known. None where the task must be looked at: what it may request is seen before that."""
    folder = task.object_id.folder
    is_stored = bool(listed.version(folder + RECEIPT))
    if is_stored and (status := findings.holds(task, folder)) is not None:
        return Outcome(task, status, None)
    archive = archives.of(task.market.venue)
    for key in expected_keys(task):
        archive.state(key)
    return None if is_stored else Outcome(task, "due", None)


def _to_be_recorded(outcome: Outcome, findings: Findings) -> Outcome:
    """The outcome; `due` where nothing changed but that this installation has no record of it yet."""
    if outcome.receipt is None or findings.is_recorded(outcome.task.object_id.folder, outcome.receipt):
        return outcome
    return replace(outcome, status="due", receipt=None)
