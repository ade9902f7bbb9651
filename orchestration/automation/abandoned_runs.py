"""Ending runs whose process was killed: they would count as running for ever, and keep what waits for them waiting.

Belongs here: which runs these are, and the sensor that looks for them while the UI runs. Does not: whether a process is
alive (`orchestration.state.process`).
"""

from collections.abc import Sequence
from typing import Final

import dagster as dg

from orchestration.compat.instance import report_run_failed
from orchestration.config.paths import Paths
from orchestration.state.process import PROCESS_TAG, is_alive, sweep

_UNFINISHED: Final = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_abandoned_runs(instance: dg.DagsterInstance, paths: Paths) -> list[str]:
    """End runs whose process is dead, and remove what dead processes left; a sentence for each run and damaged file.

    A process of another host is dead when it has missed ten minutes of heartbeats. A run without the tag is one that
    Dagster has started and not yet begun: its own monitoring ends that.
    """
    found: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(PROCESS_TAG)
        if process is None or is_alive(paths, process):
            continue
        found += report_run_failed(instance, run, "The process of this run ended without reporting a result.")
    sweep(paths)
    return found


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
