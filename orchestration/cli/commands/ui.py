"""`taker ui`: Dagster in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import Debug, Demo, settings_of


def ui(
    demo: Demo = False,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    debug: Debug = False,
) -> None:
    """Open Dagster on 127.0.0.1, with the runs of this command line in it."""
    with reporting_errors(debug):
        from orchestration.runs.ui import serve

        serve(settings_of(demo), port)
