"""Whether a service works, as its exit code: `healthy.py url http://127.0.0.1:3000/server_info`, `… collector` or
`… worker`.

Belongs here: the health checks that no program of the image has already. Does not: alerts (`orchestration.alerts`),
which judge what the collector receives.
"""

from __future__ import annotations

import sys
import urllib.request
from datetime import UTC, datetime, timedelta

from ingestion.live.status import read_status
from orchestration.config.settings import load_settings

# The collector writes its status every few seconds, from the loop that receives.
_SILENT = timedelta(minutes=2)


def main() -> str | None:
    """None when the service works; otherwise the sentence that the exit code 1 comes with."""
    what, *arguments = sys.argv[1:]
    if what == "url":
        with urllib.request.urlopen(arguments[0], timeout=5) as answer:
            return None if answer.status == 200 else f"{arguments[0]} answered {answer.status}"
    if what == "worker":
        from orchestration.runs.worker import is_alive

        return None if is_alive(load_settings().paths) else "the worker does not answer"
    status = read_status(load_settings().spool_dir)
    if status is None:
        return "the collector has not written its status yet"
    age = datetime.now(UTC) - status.beat_at
    return None if age < _SILENT else f"the collector wrote its status {age.total_seconds():.0f} s ago"


if __name__ == "__main__":
    sys.exit(main())
