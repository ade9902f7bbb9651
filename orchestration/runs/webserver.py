"""Dagster's web server behind the guard: the process that `taker ui` starts in place of `dagster_webserver`.

Belongs here: joining the two. Does not: the rules (`orchestration.runs.web_guard`), or what is replaced in Dagster
(`orchestration.compat.webserver`).
"""

from __future__ import annotations

from functools import partial

from orchestration.compat.logs import redact_logs
from orchestration.compat.webserver import serve
from orchestration.config.settings import load_settings
from orchestration.runs.web_guard import guarded


def main() -> None:
    """The command line of `dagster_webserver`."""
    redact_logs()
    serve(partial(guarded, allowed_hosts=load_settings().ui_allowed_hosts))


if __name__ == "__main__":
    main()
