"""The schedule `hourly_today`: what the archive does not have yet, once an hour.

Belongs here: its time. Does not: what is fetched (`orchestration.defs.recent`).
"""

import dagster as dg

from orchestration.automation.jobs import Jobs


def hourly_schedule(jobs: Jobs) -> dg.ScheduleDefinition:
    """Stopped by default: it reaches the network."""
    return dg.ScheduleDefinition(
        name="hourly_today",
        job=jobs.today,
        cron_schedule="3 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Three minutes after every hour: what the archive does not have yet, up to the hour just ended. "
        "The build follows by sensor.",
    )
