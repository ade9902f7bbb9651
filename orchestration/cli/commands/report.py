"""`taker report`: the report of the current publication, in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import Debug, Demo, marts_of, settings_of


def report(
    demo: Demo = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only say where it is.")] = False,
    debug: Debug = False,
) -> None:
    """Open the report of the standing publication in the browser."""
    with reporting_errors(debug):
        from orchestration.report.command import show_report
        from orchestration.report.write import report_path

        page, opened = show_report(marts_of(demo), report_path(settings_of(demo).paths.serving), browser=not no_open)
        print(page if opened or no_open else f"no browser was found; open {page}")
