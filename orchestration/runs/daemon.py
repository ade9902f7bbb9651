"""Dagster's daemon with logs that hold no secret: the process that `taker ui` starts in place of `dagster._daemon`.

Belongs here: joining the two. Does not: what is secret (`ingestion.domain.redaction`), or what is replaced in Dagster
(`orchestration.compat.webserver`).

The daemon logs the errors of sensors, schedules and launches, which quote addresses.
"""

from __future__ import annotations

from importlib import import_module

from orchestration.compat.logs import redact_logs


def main() -> None:
    """The command line of `dagster-daemon`."""
    redact_logs()
    import_module("dagster._daemon.cli").main()


if __name__ == "__main__":
    main()
