"""Dagster's daemon with logs that hold no secret: the process that `taker ui` starts in place of Dagster's own.

Belongs here: joining the two. Does not: what is secret (`ingestion.domain.redaction`), or what is replaced in Dagster
(`orchestration.compat.webserver`).

The daemon logs the errors of sensors, schedules and launches, which quote addresses.
"""

from __future__ import annotations

from typing import Final

from orchestration.compat.logs import redact_logs
from orchestration.compat.webserver import run_daemon

# Dagster's own 30 are waited for before a backfill begins, and once more before its end is noticed.
_BACKFILLS_EVERY: Final = 5


def main() -> None:
    """The command line of `dagster-daemon`."""
    redact_logs()
    run_daemon(_BACKFILLS_EVERY)


if __name__ == "__main__":
    main()
