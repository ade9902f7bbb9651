"""`taker sql`: a query over the published marts."""

from __future__ import annotations

import csv
import sys
from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, settings_of


def sql(
    query: Annotated[str, typer.Argument(help="One query over the published marts, or - to read it from a pipe.")],
    demo: Demo = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    debug: Debug = False,
) -> None:
    """Query serving/marts.duckdb."""
    with reporting_errors(debug):
        from orchestration.cli.render.console import stdout
        from orchestration.cli.render.rows import show_rows
        from orchestration.serving import published
        from orchestration.serving.formats import to_json

        text = sys.stdin.read() if query == "-" else query
        names, rows = published.query(settings_of(demo).serving_path, text)
        if as_json:
            print(to_json([dict(zip(names, row, strict=True)) for row in rows]))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows([names, *rows])
        else:
            show_rows(stdout(), names, rows)
