"""What Dagster has recorded of the latest run that was to publish, as plain facts for the alerts.

Belongs here: reading runs and their events. Does not: whether that deserves an alert
(`orchestration.alerts.conditions`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from orchestration.alerts.facts import PublishingRun
from orchestration.automation.jobs import BUILD_AND_PUBLISH
from orchestration.defs.publish import PUBLISHED_KEY

_RUNS_READ: Final = 50
_EVENT_TYPES: Final = frozenset(
    {
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.STEP_FAILURE,
    }
)


def latest_publishing_run(instance: dg.DagsterInstance) -> PublishingRun | None:
    """The latest ended run that was to publish, among the last ones; None when there is none."""
    record = _latest_record(instance)
    if record is None:
        return None
    run_id = record.dagster_run.run_id
    ended_at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else None
    if record.dagster_run.status is dg.DagsterRunStatus.SUCCESS:
        return PublishingRun(run_id, ended_at, has_succeeded=True, has_published=True)
    records = instance.get_records_for_run(run_id, of_type=set(_EVENT_TYPES)).records
    events = [event for found in records if (event := found.event_log_entry.dagster_event) is not None]
    return PublishingRun(
        run_id,
        ended_at,
        has_succeeded=False,
        has_published=any(event.is_step_materialization and event.asset_key == PUBLISHED_KEY for event in events),
        failed_checks=_failed_checks(event.event_specific_data for event in events),
        failed_steps=tuple(
            sorted({str(event.step_key) for event in events if event.event_type is dg.DagsterEventType.STEP_FAILURE})
        ),
    )


def _latest_record(instance: dg.DagsterInstance) -> dg.RunRecord | None:
    ended = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(ended, limit=_RUNS_READ):
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
