"""A query's result as an aligned table.

Belongs here: columns and rows of any query. Does not: running it (`orchestration.serving.published`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.serving.formats import cell

_ROWS_SHOWN = 500


def show_rows(console: Console, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A query's result as an aligned table, numbers to the right; of a very long one the beginning."""
    table = Table()
    for position, name in enumerate(names):
        numeric = any(isinstance(row[position], int | float | Decimal) for row in rows)
        table.add_column(escape(name), justify="right" if numeric else "left", overflow="fold", no_wrap=False)
    for row in rows[:_ROWS_SHOWN]:
        table.add_row(*(escape(cell(value)) for value in row))
    console.print(table)
    if len(rows) > _ROWS_SHOWN:
        console.print(f"[dim]the first {_ROWS_SHOWN:,} of {len(rows):,} rows; --csv or --json gives all of them")
    else:
        console.print(f"[dim]{len(rows)} row{'' if len(rows) == 1 else 's'}")
