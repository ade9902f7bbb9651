"""A query's result as an aligned table, or as records.

Belongs here: columns and rows of any query. Does not: running it (`orchestration.serving.published`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from orchestration.serving.formats import cell

_ROWS_SHOWN = 500
_UNBOUNDED = 100_000


def show_rows(
    console: Console, names: Sequence[str], rows: Sequence[Sequence[Any]], *, as_records: bool = False
) -> None:
    """A query's result: a table with numbers to the right, or a record of each row where `as_records` or where a table
    would be wider than the console, and of no rows the names alone; of a very long result the beginning."""
    table = Table()
    for position, name in enumerate(names):
        numeric = any(isinstance(row[position], int | float | Decimal) for row in rows)
        table.add_column(escape(name), justify="right" if numeric else "left", overflow="fold", no_wrap=False)
    shown = [[escape(cell(value)) for value in row] for row in rows[:_ROWS_SHOWN]]
    for row in shown:
        table.add_row(*row)
    unbounded = console.options.update(max_width=_UNBOUNDED)
    if not as_records and Measurement.get(console, unbounded, table).maximum <= console.width:
        console.print(table)
    elif not rows:
        console.print(escape(f"columns: {', '.join(names)}"))
    else:
        _show_records(console, [escape(name) for name in names], shown)
    if len(rows) > _ROWS_SHOWN:
        console.print(f"[dim]the first {_ROWS_SHOWN:,} of {len(rows):,} rows; --csv or --json gives all of them")
    else:
        console.print(f"[dim]{len(rows)} row{'' if len(rows) == 1 else 's'}")


def _show_records(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A line a value, the rows one below the other."""
    for number, row in enumerate(rows, 1):
        console.print(f"[dim]row {number:,}")
        grid = Table(box=None, pad_edge=False, show_header=False)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in zip(names, row, strict=True):
            grid.add_row(f"[bold]{name}[/]", text)
        console.print(grid)
