"""The sensor `changed_source_files`: ingests again what a venue has replaced.

Belongs here: which objects are watched, and the runs that changes cause. Does not: how a change is detected
(`ingestion.archive`).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Period
from orchestration.automation.jobs import INGEST_BY_SPAN, Jobs
from orchestration.config.days import yesterday
from orchestration.config.scope import Scope
from orchestration.defs.partitions import key_ranges, range_tags
from orchestration.defs.plan import archive_tasks
from orchestration.defs.raw import raw_key
from orchestration.resources import ArchiveResource, StorageResource

if TYPE_CHECKING:
    from ingestion.archive import Task

_DAYS_WATCHED: Final = 90


def changed_files_sensor(scope: Scope, jobs: Jobs) -> dg.SensorDefinition:
    """Stopped by default: it reaches the network."""

    @dg.sensor(
        name="changed_source_files",
        jobs=[jobs.days, jobs.months],
        minimum_interval_seconds=6 * 3600,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Ingests again what the venue replaced: compares the checksums of the last {_DAYS_WATCHED} days, "
        "or the server's headers of files that have none.",
    )
    def changed_source_files(
        context: dg.SensorEvaluationContext,
        archive: dg.ResourceParam[ArchiveResource],
        storage: dg.ResourceParam[StorageResource],
    ) -> dg.SensorResult | dg.SkipReason:
        from ingestion.archive import changed_sources

        with archive.open() as opened:
            changed = changed_sources(
                watched_tasks(scope, yesterday()),
                archives=opened,
                zone=storage.raw_zone(),
                report=lambda outcome: context.log.warning(f"{outcome.task} could not be judged: {outcome.error}"),
            )
        if not changed:
            return dg.SkipReason(f"no file of the last {_DAYS_WATCHED} days changed")
        return dg.SensorResult(run_requests=requests_for(changed, datetime.now(UTC)))

    return changed_source_files


def watched_tasks(scope: Scope, last_day: date) -> "list[Task]":
    """Every raw object that holds one of the days whose checksums are watched."""
    first_day = max(last_day - timedelta(days=_DAYS_WATCHED - 1), scope.first_day)
    return archive_tasks(scope.archived_datasets(), scope, first_day, last_day)


def requests_for(changed: "Sequence[Task]", now: datetime) -> list[dg.RunRequest]:
    """One run per dataset and unbroken range of changed partitions."""
    by_dataset: dict[str, list[Period]] = {}
    for task in changed:
        by_dataset.setdefault(task.dataset.name, []).append(task.period)
    return [
        dg.RunRequest(
            run_key=f"{dataset}:{first}..{last}:{now:%Y-%m-%dT%H}",
            job_name=INGEST_BY_SPAN[DATASETS[dataset].span],
            tags=range_tags(first, last),
            asset_selection=[raw_key(dataset)],
        )
        for dataset, periods in sorted(by_dataset.items())
        for first, last in key_ranges(periods)
    ]
