"""`taker sql`: a query over the published marts."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, AsOfTime, Debug, Demo, marts_of


def sql(
    query: Annotated[str, typer.Argument(help="One query over the published marts, or - to read it from a pipe.")],
    demo: Demo = False,
    as_of: AsOfTime = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on standard output.")] = False,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Parquet file, with exact decimals.", dir_okay=False)
    ] = None,
    as_records: Annotated[bool, typer.Option("--records", help="A line a value, also where a table has room.")] = False,
    excel: Annotated[Path | None, typer.Option(metavar="FILE", help="An Excel file.", dir_okay=False)] = None,
    debug: Debug = False,
) -> None:
    """Query the published marts; `taker tables` lists them."""
    if sum((as_json, as_csv, as_records, parquet is not None, excel is not None)) > 1:
        raise typer.BadParameter("choose one of --json, --csv, --records, --parquet and --excel")
    with reporting_errors(debug):
        from orchestration.cli.render.console import stdout
        from orchestration.cli.render.rows import show_rows
        from orchestration.serving import exports, published
        from orchestration.serving.formats import to_json

        serving, text = marts_of(demo, as_of), sys.stdin.read() if query == "-" else query
        if parquet is not None:
            columns = published.query_columns(serving, text)
            exports.write_parquet(columns, parquet)
            _written(columns.num_rows, parquet)
            return
        names, rows = published.query(serving, text)
        if excel is not None:
            exports.write_excel(names, rows, excel)
            _written(len(rows), excel)
        elif as_json:
            print(to_json([dict(zip(names, row, strict=True)) for row in rows]))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows([names, *rows])
        else:
            show_rows(stdout(), names, rows, as_records=as_records)


def _written(rows: int, path: Path) -> None:
    print(f"{rows:,} row{'' if rows == 1 else 's'} written to {path}", file=sys.stderr)
