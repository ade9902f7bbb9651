"""A table that gives up columns before it becomes wider than the console.

Belongs here: which columns are left out. Does not: what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_UNBOUNDED: Final = 100_000


@dataclass(frozen=True)
class Column:
    """`spare`: left out in a narrow console, the highest number first; 0: always there."""

    name: str
    is_number: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Row:
    cells: Sequence[str]
    style: str | None = None


def fitted(console: Console, columns: Sequence[Column], rows: Sequence[Row], title: str | None = None) -> Table:
    """The rows with as many of the columns as the console is wide enough for; text folds only where none is spare."""
    kept = list(range(len(columns)))
    while True:
        table = Table(title=title, title_justify="left")
        for position in kept:
            column = columns[position]
            table.add_column(column.name, justify="right" if column.is_number else "left", overflow="fold")
        for row in rows:
            table.add_row(*(row.cells[position] for position in kept), style=row.style)
        wide = Measurement.get(console, console.options.update(max_width=_UNBOUNDED), table).maximum
        spare = max(kept, key=lambda position: columns[position].spare)
        if wide <= console.width or not columns[spare].spare:
            return table
        kept.remove(spare)
