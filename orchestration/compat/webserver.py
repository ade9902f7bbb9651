"""`dagster dev` with a web server whose ASGI application can be wrapped.

Belongs here: the two replacements that this takes. Does not: the wrapper (`orchestration.runs.web_guard`), or when it
is started (`orchestration.runs.ui`).

`dagster dev` starts `python -m dagster_webserver`, and that builds its application and gives it to uvicorn; neither has
a place for a middleware. A proxy in front would leave the server behind it open to the same pages on another port.
`dev` replaces `dagster._cli.dev.open_ipc_subprocess`, `serve` replaces
`dagster_webserver.cli.create_app_from_workspace_process_context`. Where Dagster has changed so far that one of these
would have no effect, nothing is served.
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


def dev(arguments: Sequence[str], web_server: str) -> None:
    """`dagster dev ARGUMENTS` in this process, with `python -m WEB_SERVER` in place of `dagster_webserver`."""
    command: Any = import_module("dagster._cli.dev")
    start = command.open_ipc_subprocess
    servers = [sys.executable, "-m", "dagster_webserver"]

    def started(parts: Sequence[str], **options: Any) -> Any:
        # The web server is the first of the two processes, and no other may be one.
        if list(parts[:3]) == servers:
            return start([sys.executable, "-m", web_server, *parts[3:]], **options)
        if list(parts[:4]) == [sys.executable, "-m", "dagster._daemon", "run"]:
            return start(list(parts), **options)
        unknown = " ".join(parts[:4])
        raise UnknownDagster(f"`dagster dev` starts `{unknown}`, which Taker does not know; nothing is served")

    command.open_ipc_subprocess = started
    command.dev_command.main(args=list(arguments), prog_name="taker ui")


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
