"""`taker tables`: what can be queried."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, marts_of


def tables(
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="Describe its columns. Default: every table.")
    ] = None,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the published tables, or describe one with its columns."""
    with reporting_errors(debug):
        from orchestration.cli.render.console import stdout
        from orchestration.cli.render.tables import show_columns, show_tables
        from orchestration.serving.formats import to_json
        from orchestration.serving.tables import columns_of, published_tables

        serving = marts_of(demo)
        every = published_tables(serving)
        columns = None if table is None else columns_of(serving, table)
        if as_json:
            print(to_json(every if columns is None else columns))
        elif columns is None:
            show_tables(stdout(), every)
        else:
            (described,) = (one for one in every if one.name == str(table).lower())
            show_columns(stdout(), described, columns)
