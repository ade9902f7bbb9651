"""`taker report`: the report of the current publication, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import Debug, Demo, settings_of


def report(
    demo: Demo = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only say where it is.")] = False,
    debug: Debug = False,
) -> None:
    """Open the report of the standing publication in the browser."""
    with reporting_errors(debug):
        from orchestration.report.command import show_report

        page, opened = show_report(settings_of(demo).serving_path, browser=not no_open)
        print(page if opened or no_open else f"no browser was found; open {page}")
