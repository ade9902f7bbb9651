"""What of a request there is something to do for, found out before Dagster and dbt are loaded.

Belongs here: comparing the requested days with what is stored and recorded, the ranges of partitions that are to be
ingested, remembering what was found. Does not: the comparison of one object (`ingestion.archive`), whether a whole run
has nothing to do (`orchestration.runs.unchanged`). Imports no dagster.

A partition in which nothing is to be done is neither requested again nor recorded again: a run costs what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ingestion.domain.datasets import DATASETS
from ingestion.domain.errors import IngestionError
from ingestion.domain.periods import Period
from ingestion.raw.zone import DryZone
from orchestration.defs.plan import archive_series
from orchestration.resources import ArchiveResource, StorageResource
from orchestration.runs.ranges import IngestRange
from orchestration.state.process import scratch
from orchestration.warehouse.publish.inputs import code_sha256

if TYPE_CHECKING:
    from ingestion.archive import Findings, Found, Known, Outcome, Series
    from ingestion.raw.index import Listed
    from orchestration.config.endpoints import Endpoints
    from orchestration.config.paths import Paths
    from orchestration.config.scope import Scope
    from orchestration.config.storage import Storage

# To start a run of Dagster costs what it costs to look again at the partitions of so many days.
_BETWEEN_RUNS: Final = timedelta(days=31)
# To list all objects costs about what it costs to list so many folders one by one.
_LISTED_ALONE: Final = 1_000


@dataclass
class Comparison:
    """What was found of each requested object; `due` is to be ingested. `zone`: read alone. `listed`: the zone
    before anything was stored. `known`: the objects that were not looked at, `outcomes`: of the others. `notices`: of
    the archives."""

    zone: DryZone
    listed: Listed
    findings: Findings
    known: Sequence[Known] = ()
    outcomes: Sequence[Outcome] = ()
    notices: list[str] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        nothing = not self.known and not self.outcomes
        return nothing or any(outcome.status in ("due", "failed") for outcome in self.outcomes)

    def due(self, ranges: Sequence[IngestRange]) -> list[IngestRange]:
        """Of the requested ranges those parts, whole partitions of them, in which something is to be done."""
        parts = []
        for wanted in ranges:
            due = [
                outcome.task
                for outcome in self.outcomes
                if outcome.status in ("due", "failed") and outcome.task.dataset.name in wanted.datasets
            ]
            for first, last in _neighbours({task.period for task in due}):
                names = {task.dataset.name for task in due if first <= task.period.first_day <= last}
                parts.append(
                    IngestRange(
                        tuple(name for name in wanted.datasets if name in names),
                        wanted.span,
                        max(first, wanted.first_day),
                        min(last, wanted.last_day),
                    )
                )
        return parts

    def beside(self, parts: Sequence[IngestRange]) -> tuple[list[Known], list[Outcome]]:
        """What was found of the objects that belong to none of these ranges."""

        def is_beside(dataset: str, first_day: date, last_day: date) -> bool:
            for part in parts:  # once per object of the zone
                if first_day <= part.last_day and part.first_day <= last_day and dataset in part.datasets:
                    return False
            return True

        return (
            [each for each in self.known if is_beside(each.dataset, each.period.first_day, each.period.last_day)],
            [
                each
                for each in self.outcomes
                if is_beside(each.task.dataset.name, each.task.first_day, each.task.last_day)
            ],
        )

    def remember(self, outcomes: Collection[Found]) -> None:
        """Keep what was found of these objects for the next run, which then looks at none of them again."""
        folders = [outcome.task.object_id.folder for outcome in outcomes]
        store = self.zone.store
        if len(folders) > _LISTED_ALONE:
            listed = self.zone.listed()
        else:
            with ThreadPoolExecutor(store.at_once) as pool:
                found = [each for part in pool.map(store.list, folders) for each in part]
            listed = replace(self.listed, objects=self.listed.objects | {each.key: each for each in found})
        self.findings.remember(outcomes, listed)


@contextmanager
def compared(
    scope: Scope,
    endpoints: Endpoints,
    storage: Storage,
    paths: Paths,
    ranges: Sequence[IngestRange],
) -> Iterator[Comparison | None]:
    """The comparison of the requested days; None where the storage or an archive does not answer, which a run states
    better. The archives stay open as long: what they showed before is what is remembered."""
    from ingestion.archive import Findings, compare

    zone = DryZone(StorageResource(storage).store(), only_noted=storage.only_noted)
    with ArchiveResource(endpoints).open() as archives:
        try:
            listed = zone.listed()
            found = Comparison(zone, listed, Findings(paths.findings, code_sha256(), archives, listed))
            with scratch(paths) as folder:
                made = compare(
                    _series(scope, ranges),
                    archives=archives,
                    zone=zone,
                    listed=listed,
                    findings=found.findings,
                    now=datetime.now(UTC),
                    scratch=folder,
                    notice=found.notices.append,
                )
                found.known, found.outcomes = made.known, made.outcomes
        except IngestionError:
            yield None
            return
        yield found


def recorded_outcomes(outcomes: Sequence[Found], partitions: Collection[tuple[str, str]]) -> list[Found]:
    """The outcomes in these partitions (name of the dataset, key), of which Dagster has a record."""
    return [each for each in outcomes if (each.task.dataset.name, each.task.period.label) in partitions]


def _series(scope: Scope, ranges: Sequence[IngestRange]) -> list[Series]:
    return [
        series
        for wanted in ranges
        for series in archive_series(
            [DATASETS[name] for name in wanted.datasets], scope, wanted.first_day, wanted.last_day
        )
    ]


def _neighbours(periods: Collection[Period]) -> Iterator[tuple[date, date]]:
    """The first and the last day of each group of periods, in order, between which there is no long gap."""
    first = last = None
    for period in sorted(periods):
        if first is None or last is None or period.first_day - last > _BETWEEN_RUNS:
            if first is not None and last is not None:
                yield first, last
            first = period.first_day
        last = period.last_day
    if first is not None and last is not None:
        yield first, last
