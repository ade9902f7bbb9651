"""The published tables, and the columns of one.

Belongs here: `orchestration.serving.tables` as text. Does not: queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from orchestration.serving.tables import PublishedColumn, PublishedTable


def show_tables(console: Console, tables: Sequence[PublishedTable]) -> None:
    """A line a table: name, rows, the first sentence of its description."""
    grid = Table(box=None, pad_edge=False)
    grid.add_column("table", no_wrap=True)
    grid.add_column("rows", justify="right")
    grid.add_column("")
    for table in tables:
        grid.add_row(table.name, f"{table.rows:,}", escape(first_sentence(table.comment)))
    console.print(grid)
    console.print("[dim]`taker tables TABLE` describes the columns of one")


def show_columns(console: Console, table: PublishedTable, columns: Sequence[PublishedColumn]) -> None:
    """The description of a table, then a line a column."""
    console.print(f"[bold]{table.name}[/] · {table.rows:,} rows\n{escape(table.comment)}\n", soft_wrap=False)
    grid = Table(box=None, pad_edge=False)
    grid.add_column("column", no_wrap=True)
    grid.add_column("type", no_wrap=True)
    grid.add_column("")
    for column in columns:
        grid.add_row(column.name, column.data_type.lower(), escape(" ".join(column.comment.split())))
    console.print(grid)


def first_sentence(comment: str) -> str:
    """Up to the first full stop that ends a sentence."""
    text = " ".join(comment.split())
    return text.partition(". ")[0].removesuffix(".")
