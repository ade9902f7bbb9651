"""The latest run that was to publish, read from Dagster's records.

Belongs here: from runs and events to the plain facts that alerts judge. Does not: what is wrong with a run
(`orchestration.alerts.conditions`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from orchestration.alerts.conditions import PublishingRun
from orchestration.automation.jobs import BUILD_AND_PUBLISH
from orchestration.defs.publish import PUBLISHED_KEY

_RUNS_SEARCHED: Final = 50


def latest_publishing_run(instance: dg.DagsterInstance) -> PublishingRun | None:
    """The facts of the latest ended run that publishes; None without one."""
    record = _latest(instance)
    if record is None:
        return None
    run = record.dagster_run
    ended_at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else None
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return PublishingRun(run.run_id, ended_at, succeeded=True, has_published=True)
    kinds = {
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.STEP_FAILURE,
    }
    entries = [entry.event_log_entry for entry in instance.get_records_for_run(run.run_id, of_type=kinds).records]
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    return PublishingRun(
        run_id=run.run_id,
        ended_at=ended_at,
        succeeded=False,
        has_published=any(event.is_step_materialization and event.asset_key == PUBLISHED_KEY for event in events),
        failed_checks=_failed_checks(event.event_specific_data for event in events),
        failed_steps=tuple(
            sorted({str(event.step_key) for event in events if event.event_type is dg.DagsterEventType.STEP_FAILURE})
        ),
    )


def _latest(instance: dg.DagsterInstance) -> dg.RunRecord | None:
    ended = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(ended, limit=_RUNS_SEARCHED):
        run = record.dagster_run
        if run.job_name == BUILD_AND_PUBLISH or PUBLISHED_KEY in (run.asset_selection or ()):
            return record
    return None


def _failed_checks(evaluations: Iterable[object]) -> dict[str, str]:
    """Why each check failed that keeps marts from being published, by its name."""
    return {
        evaluation.check_name: evaluation.description or "failed"
        for evaluation in evaluations
        if isinstance(evaluation, dg.AssetCheckEvaluation)
        and not evaluation.passed
        and evaluation.severity is dg.AssetCheckSeverity.ERROR
    }
