"""Ending runs whose process was killed: they would count as running for ever, and keep what waits for them waiting.

A run names its process before its first step (`orchestration.resources`). One that Dagster has created or launched and
that names none after five minutes was killed before that: loading the definitions takes seconds. A run of another state
folder, such as another worker's, is not judged here: only its own folder knows its processes.

Belongs here: which runs these are, and the sensor that looks for them while the UI runs. Does not: whether a process is
alive (`orchestration.state.process`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from orchestration.compat.instance import report_run_failed
from orchestration.config.paths import Paths
from orchestration.state.process import PROCESS_TAG, STATE_TAG, is_alive, state_id, sweep

# Not the queued ones: Dagster launches them when its daemon runs again.
_UNFINISHED: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# Of a run that was given to a queue of workers, which may wait there and be executed with another state folder.
_OF_A_QUEUE: Final = "dagster-celery/task"
# Dagster itself gives a run three minutes to start, while its daemon runs.
UNNAMED_SECONDS: Final = 300.0


def end_abandoned_runs(instance: dg.DagsterInstance, paths: Paths) -> list[str]:
    """End runs whose process is dead, and remove what dead processes left; a sentence for each run and damaged file.

    A process of another host is dead when it has missed ten minutes of heartbeats.
    """
    found: list[str] = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        if (why := _why_ended(record, paths)) is not None:
            found += report_run_failed(instance, record.dagster_run, why)
    sweep(paths)
    return found


def _why_ended(record: dg.RunRecord, paths: Paths) -> str | None:
    """Why no process executes this run any more; None while one does, or may."""
    tags = record.dagster_run.tags
    if any(tag.startswith(_OF_A_QUEUE) for tag in tags) or tags.get(STATE_TAG, state_id(paths)) != state_id(paths):
        return None  # its launcher queries its worker (`orchestration.compat.queue`)
    process = tags.get(PROCESS_TAG)
    if process is not None:
        return None if is_alive(paths, process) else "The process of this run ended without reporting a result."
    age = (datetime.now(UTC) - _in_utc(record.update_timestamp)).total_seconds()
    if age < UNNAMED_SECONDS:
        return None
    return (
        f"No process has begun this run within {age / 60:.0f} min of its launch: it was killed before its first step."
    )


def _in_utc(stored: datetime) -> datetime:
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored


def abandoned_sensor(paths: Paths) -> dg.SensorDefinition:
    """Running by default: it reads Dagster's own records and the state folder only."""

    @dg.sensor(
        name="end_abandoned_runs",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Ends runs whose process was killed, so that nothing waits for them. Makes no request.",
    )
    def end(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(_summary(end_abandoned_runs(context.instance, paths)))

    return end


def _summary(found: Sequence[str]) -> str:
    return "; ".join(found) or "every run that counts as running has a living process"
