"""The published tables and their columns, as the database describes them.

Belongs here: names, types, counts and comments. Does not: rows (`orchestration.serving.published`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.config.marts import Marts
from orchestration.serving.published import closest, connect


class TableNotPublished(ValueError):
    """No published table has that name. The text suggests one."""


@dataclass(frozen=True)
class PublishedTable:
    """`rows`: as many as the database estimates, exact for tables that are written once."""

    name: str
    rows: int
    comment: str


@dataclass(frozen=True)
class PublishedColumn:
    """`comment`: the meaning, with unit and sign."""

    name: str
    data_type: str
    comment: str


def published_tables(serving: Marts) -> list[PublishedTable]:
    """Every published table, by name."""
    with connect(serving) as connection:
        rows = connection.execute(
            "select table_name, estimated_size, coalesce(comment, '') from duckdb_tables() where not internal "
            "order by table_name"
        ).fetchall()
    return [PublishedTable(*row) for row in rows]


def columns_of(serving: Marts, table: str) -> list[PublishedColumn]:
    """The columns of a table in their order. Raises TableNotPublished."""
    names = [one.name for one in published_tables(serving)]
    if table.lower() not in names:
        close = closest(table.lower(), names)
        hint = f"did you mean `{close}`?" if close else "`taker tables` lists them"
        raise TableNotPublished(f"no published table is called `{table}`; {hint}")
    with connect(serving) as connection:
        rows = connection.execute(
            "select table_name, column_name, data_type, coalesce(comment, '') from duckdb_columns() where not internal "
            "order by table_name, column_index"
        ).fetchall()
    return [PublishedColumn(*row) for name, *row in rows if name == table.lower()]
