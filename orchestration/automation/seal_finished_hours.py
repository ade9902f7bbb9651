"""The sensor `seal_finished_hours`: seals what the collector received, once an hour is over.

Belongs here: when there is something to seal. Does not: sealing (`ingestion.live.seal`).
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from orchestration.automation.jobs import Jobs
from orchestration.defs.recent import FEED_DATASET_KEYS


def seal_sensor(spool: Path, jobs: Jobs) -> dg.SensorDefinition:
    """Running by default: it reads the spool folder only."""

    @dg.sensor(
        name="seal_finished_hours",
        job=jobs.today,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Seals into the raw zone what the collector received, once an hour is over. Reads the spool folder "
        "only.",
    )
    def seal_finished_hours() -> dg.RunRequest | dg.SkipReason:
        return seal_decision(spool, datetime.now(UTC))

    return seal_finished_hours


def seal_decision(spool: Path, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """The run that seals what the collector has finished, or the reason why none is due."""
    if not spool.is_dir():
        return dg.SkipReason("nothing is collected here; `taker collect` does")
    from ingestion.live.seal import finished_hours

    finished = finished_hours(spool, now=now)
    if not finished:
        return dg.SkipReason("no hour has ended that is not sealed yet")
    # The key is what there is to seal: a run that failed is not repeated until another hour has ended.
    hours = hashlib.sha256("\n".join(sorted(map(str, finished))).encode()).hexdigest()
    return dg.RunRequest(run_key=f"seal:{hours}", asset_selection=list(FEED_DATASET_KEYS))
