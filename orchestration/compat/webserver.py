"""`dagster dev` with other programs for its two processes, and a web server whose application can be wrapped.

Belongs here: the replacements that this takes. Does not: the wrapper (`orchestration.runs.web_guard`), the processes
(`orchestration.runs.webserver`, `orchestration.runs.daemon`), or when they are started (`orchestration.runs.ui`).

`dagster dev` starts `python -m dagster_webserver`, and that builds its application and gives it to uvicorn; neither
has a place for a middleware, nor has `python -m dagster._daemon` one for a filter of what it logs. A proxy in front
would leave the server behind it open to the same pages on another port. `dev` replaces
`dagster._cli.dev.open_ipc_subprocess`, `serve` replaces
`dagster_webserver.cli.create_app_from_workspace_process_context`, `run_daemon` a constant of
`dagster._daemon.controller`: no setting states how often the daemon looks for backfills. Where Dagster has changed so
far that one of these would have no effect, nothing is served.
    Upstream: https://github.com/dagster-io/dagster/pull/19873 (warns of the missing protection instead of adding it)
    and issues/2219 (authentication, open); dagster/_cli/dev.py and dagster_webserver/cli.py.
    Remove when: dagster-webserver checks Host and Origin itself, or takes middleware by configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


class UnknownDagster(Exception):
    """This version of Dagster starts its web server in another way, which would not be guarded."""


def dev(arguments: Sequence[str], *, web_server: str, daemon: str) -> None:
    """`dagster dev ARGUMENTS` in this process, with `python -m` these two in place of Dagster's own two processes."""
    command: Any = import_module("dagster._cli.dev")
    start = command.open_ipc_subprocess
    instead = {("-m", "dagster_webserver"): web_server, ("-m", "dagster._daemon"): daemon}

    def started(parts: Sequence[str], **options: Any) -> Any:
        replaced = instead.get((parts[1], parts[2])) if parts[0] == sys.executable else None
        if replaced is None:
            unknown = " ".join(parts[:4])
            raise UnknownDagster(f"`dagster dev` starts `{unknown}`, which Taker does not know; nothing is served")
        return start([sys.executable, "-m", replaced, *parts[3:]], **options)

    command.open_ipc_subprocess = started
    command.dev_command.main(args=list(arguments), prog_name="taker ui")


def run_daemon(backfills_every: int) -> None:
    """`python -m dagster._daemon` in this process, which looks for backfills every so many seconds."""
    controller: Any = import_module("dagster._daemon.controller")
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = backfills_every
    import_module("dagster._daemon.cli").main()


def serve(wrapped: Callable[[Any], Any]) -> None:
    """`python -m dagster_webserver` in this process, with `wrapped(application)` in place of its application."""
    import uvicorn

    cli: Any = import_module("dagster_webserver.cli")
    create, run = cli.create_app_from_workspace_process_context, uvicorn.run
    made: list[Any] = []

    def wrapping(*arguments: Any, **options: Any) -> Any:
        made.append(wrapped(create(*arguments, **options)))
        return made[-1]

    def running(app: Any, **options: Any) -> None:
        if not made or app is not made[-1]:
            raise UnknownDagster("Dagster's web server makes its application in another way; nothing is served")
        run(app, **options)

    cli.create_app_from_workspace_process_context = wrapping
    uvicorn.run = running
    cli.main()
