"""The elements of a page as plain values: tables, keys, cards, definitions.

Belongs here: what one element consists of, with every text ready to be shown. Does not: markup
(`templates/elements.html.j2`), or which elements there are (`market`, `overall`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orchestration.report.content import ReportContent


@dataclass(frozen=True)
class Cell:
    """`style`: `code`, `sell` or `buy`, `prose` for a sentence that is wrapped, or empty for a short text."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    title: str
    is_number: bool


@dataclass(frozen=True)
class TableRow:
    """`definition`: the spike definition that the row is shown for; None in a table that is not filtered."""

    cells: tuple[Cell, ...]
    definition: str | None = None


@dataclass(frozen=True)
class Table:
    """`none`: what a filtered table shows in place of rows. `is_tall`: it scrolls within a limited height."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    is_filtered: bool = False
    none: str = ""
    is_tall: bool = False


@dataclass(frozen=True)
class Key:
    """What a colour (or none) and a sign (or none) mean."""

    colour: str
    sign: str
    words: str


@dataclass(frozen=True)
class Card:
    name: str
    number: Cell
    note: str


@dataclass(frozen=True)
class Defined:
    """A name and its comment in the database, or a definition and a sentence about it."""

    name: str
    text: str


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    definitions: Sequence[str] | None = None,
    none: str = "",
    is_tall: bool = False,
) -> Table:
    """A table of texts and cells. A column named # holds numbers; `definitions` are one per row, to filter by."""
    cells = [tuple(cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in row) for row in rows]
    names: list[str | None] = [None for _ in cells] if definitions is None else list(definitions)
    return Table(
        caption,
        tuple(Column(name.removeprefix("#"), name.startswith("#")) for name in columns),
        tuple(TableRow(row, name) for row, name in zip(cells, names, strict=True)),
        is_filtered=definitions is not None,
        none=none,
        is_tall=is_tall,
    )


def code(text: Any) -> Cell:
    return Cell(str(text), "code")


def prose(text: str) -> Cell:
    return Cell(text, "prose")


def toned(value: Decimal | None, text: str) -> Cell:
    """A signed amount; the sign shows the same as the colour."""
    return Cell(text, "" if value is None else "sell" if value < 0 else "buy")


def column_comments(content: ReportContent, columns: Iterable[tuple[str, str]]) -> tuple[Defined, ...]:
    """Name and comment of each (table, column) that the database describes."""
    return tuple(
        Defined(column, content.tables[table].columns[column])
        for table, column in columns
        if table in content.tables and content.tables[table].columns.get(column)
    )
