"""The schedule `weekly_full_audit`: every row of every mart is judged once a week, not only what was built.

Belongs here: its time, and when there is nothing to judge. Does not: what a full audit is
(`orchestration.warehouse.audit.window`).
"""

from datetime import date, datetime
from typing import Any, Final

import dagster as dg

from orchestration.automation.build_when_raw_is_newer import latest_materialization
from orchestration.automation.jobs import Jobs
from orchestration.defs.publish import AUDIT, IS_FULL, PUBLISHED_KEY

FULL_AUDIT: Final[dict[str, Any]] = {"ops": {AUDIT: {"config": {IS_FULL: True}}}}


def full_audit_schedule(jobs: Jobs) -> dg.ScheduleDefinition:
    """Running by default: it reads what is stored, and reaches no network."""

    @dg.schedule(
        name="weekly_full_audit",
        job=jobs.build,
        cron_schedule="30 5 * * 0",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Sundays at 05:30 UTC: builds what changed, judges every row of every mart, and publishes.",
    )
    def weekly_full_audit(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        published_at = latest_materialization(context.instance, [PUBLISHED_KEY])
        return full_audit_request(published_at, context.scheduled_execution_time.date())

    return weekly_full_audit


def full_audit_request(published_at: datetime | None, day: date) -> dg.RunRequest | dg.SkipReason:
    """The run that judges everything, or the reason why there is nothing to judge."""
    if published_at is None:
        return dg.SkipReason("nothing is published yet; the first audit is full")
    return dg.RunRequest(run_key=f"full_audit:{day.isoformat()}", run_config=FULL_AUDIT)
