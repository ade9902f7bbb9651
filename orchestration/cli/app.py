"""The `taker` command: the same jobs as in Dagster's UI, with progress and a readable result.

Belongs here: the list of commands. Does not: what a command does (`orchestration.cli.commands`).
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from orchestration.cli.commands.alerts import alerts
from orchestration.cli.commands.brief import brief
from orchestration.cli.commands.claim import ClaimCommand, claim
from orchestration.cli.commands.collect import collect
from orchestration.cli.commands.demo import demo
from orchestration.cli.commands.merge_months import merge_months
from orchestration.cli.commands.report import report
from orchestration.cli.commands.run import run
from orchestration.cli.commands.seal import seal
from orchestration.cli.commands.simulate import simulate
from orchestration.cli.commands.sql import sql
from orchestration.cli.commands.status import status
from orchestration.cli.commands.tables import tables
from orchestration.cli.commands.ui import ui
from orchestration.cli.commands.verify import verify
from orchestration.state.garbage import look_seldom
from orchestration.state.leaving import leave

app = typer.Typer(
    name="taker",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"taker {version('taker')}")
        raise typer.Exit


@app.callback()
def taker(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Who was the aggressor in crypto futures, by how much, and how unusual was that?"""


app.command()(run)
app.command()(collect)
app.command()(seal)
app.command()(demo)
app.command()(status)
app.command()(verify)
app.command()(merge_months)
app.command()(sql)
app.command()(tables)
app.command(cls=ClaimCommand)(claim)
app.command()(brief)
app.command()(alerts)
app.command()(report)
app.command()(simulate)
app.command()(ui)


def main() -> None:
    """Console script `taker`."""
    look_seldom()
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows `\u2265` for `≥`, instead of an error after half of the answer.
        if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        leave(end)
