"""The schedules `daily_ingest` and `daily_ingest_months`: every morning, the days just ended and the running month.

Belongs here: their times, and the partitions they request. Does not: the jobs (`orchestration.automation.jobs`).
"""

from datetime import date, timedelta
from typing import Final

import dagster as dg

from ingestion.domain.periods import Period, Span
from orchestration.automation.jobs import Jobs
from orchestration.config.scope import Scope
from orchestration.defs.partitions import range_tags
from orchestration.defs.plan import archived_by_span
from orchestration.defs.raw import raw_key

# A venue uploads late now and then, so the daily run requests a few days and not one. OKX's second file of a UTC day is
# out three days after it, in the course of the day.
_DAYS_REQUESTED: Final = 5


def daily_schedules(scope: Scope, jobs: Jobs) -> list[dg.ScheduleDefinition]:
    """One schedule for each span. Stopped by default: they reach the network."""
    return [
        _schedule("daily_ingest", scope, jobs, Span.DAY, "the days just ended: trades, metrics, liquidations"),
        _schedule("daily_ingest_months", scope, jobs, Span.MONTH, "the running month: klines, funding rates"),
    ]


def _schedule(name: str, scope: Scope, jobs: Jobs, span: Span, what: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job=jobs.days if span is Span.DAY else jobs.months,
        cron_schedule="30 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Every morning at 02:30 UTC, {what}. The build follows by sensor.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return daily_request(scope, span, context.scheduled_execution_time.date())

    return daily


def daily_request(scope: Scope, span: Span, day: date) -> dg.RunRequest:
    """What to ingest on the morning of `day`: the days just ended, or the months they lie in."""
    last = day - timedelta(days=1)
    first = max(last - timedelta(days=_DAYS_REQUESTED - 1), scope.first_day)
    return dg.RunRequest(
        run_key=f"{span}:{day.isoformat()}",
        tags=range_tags(Period.holding(first, span).label, Period.holding(last, span).label),
        asset_selection=[raw_key(name) for name in archived_by_span(scope)[span]],
    )
