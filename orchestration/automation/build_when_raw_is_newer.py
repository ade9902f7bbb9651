"""The sensor `build_when_raw_is_newer`: builds and publishes once ingestion has stored something.

Belongs here: when a build is due. Does not: which days it builds (dbt reads the receipts).
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from ingestion.domain.datasets import DATASETS
from orchestration.automation.jobs import Jobs
from orchestration.defs.raw import RECEIPTS_KEY, raw_key


def build_sensor(jobs: Jobs) -> dg.SensorDefinition:
    """Running by default: it reads Dagster's own records only."""

    @dg.sensor(
        name="build_when_raw_is_newer",
        job=jobs.build,
        # It reads a few rows of Dagster's own history.
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Builds and publishes once ingestion has stored something and nothing is running any more.",
    )
    def build_when_raw_is_newer(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        decision = build_decision(
            raw_at=latest_materialization(context.instance, [raw_key(name) for name in DATASETS]),
            # A build knows of the raw zone what its index lists; later objects are news, whenever the build ends.
            indexed_at=latest_materialization(context.instance, [RECEIPTS_KEY]),
            running=runs_in_progress(context.instance),
        )
        if isinstance(decision, str):
            return dg.SkipReason(decision)
        # The key is the state of raw: a build that failed is not repeated until raw changes again.
        return dg.RunRequest(run_key=f"raw:{decision.isoformat()}")

    return build_when_raw_is_newer


def build_decision(raw_at: datetime | None, indexed_at: datetime | None, running: Sequence[str]) -> datetime | str:
    """The state of raw that deserves a build, or the reason why none is due."""
    if raw_at is None:
        return "the raw zone is empty"
    if indexed_at is not None and indexed_at >= raw_at:
        return f"the last build began at {indexed_at:%Y-%m-%d %H:%M:%S} UTC, nothing was ingested since"
    if running:
        return f"waiting for {', '.join(sorted(set(running)))}"
    return raw_at


def latest_materialization(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> datetime | None:
    """When the newest materialization of any of the assets was recorded, UTC."""
    events = instance.get_latest_materialization_events(keys).values()
    found = [event.timestamp for event in events if event is not None]
    return datetime.fromtimestamp(max(found), UTC) if found else None


def runs_in_progress(instance: dg.DagsterInstance) -> list[str]:
    """Names of the jobs that are queued or running."""
    unfinished = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return [run.job_name for run in instance.get_runs(dg.RunsFilter(statuses=unfinished))]
