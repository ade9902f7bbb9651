"""What is known about a published table: its key, its columns, their types and descriptions.

Belongs here: reading that from dbt's manifest and from the database being published. Does not: writing any target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration.warehouse.sql import identifier

if TYPE_CHECKING:
    import duckdb


class PublicationError(Exception):
    """A target could not be written. The text states which, why, and that the former publication stands."""


@dataclass(frozen=True)
class Column:
    """`type` as DuckDB writes it, such as `DECIMAL(38,8)`; the description may be empty."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One published table; `key` names the columns that no two rows share, or is empty when none is declared."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int


def mart_keys(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Key columns by model, as dbt tests them: the `key` among a model's `rules`.

    Only columns that the model's contract declares NOT NULL make a key.
    """
    found: dict[str, tuple[str, ...]] = {}
    for test in manifest["nodes"].values():
        tested, model = test.get("test_metadata"), manifest["nodes"].get(test.get("attached_node"))
        if tested is None or model is None or tested["name"] != "rules" or model["resource_type"] != "model":
            continue
        columns = tuple((tested["kwargs"].get("arguments") or tested["kwargs"]).get("key", ()))
        if columns and all(_is_never_null(model["columns"].get(column)) for column in columns):
            found[model["name"]] = columns
    return found


def _is_never_null(column: Mapping[str, Any] | None) -> bool:
    return column is not None and any(one["type"] in ("not_null", "primary_key") for one in column["constraints"])


def describe(connection: duckdb.DuckDBPyConnection, name: str, key: Sequence[str] = ()) -> Table:
    """The table as it is in the database being published."""
    here = "where database_name = current_database() and schema_name = 'main' and table_name = ?"
    comments = connection.execute(f"select comment from duckdb_tables() {here}", [name]).fetchall()
    columns = connection.execute(
        f"select column_name, data_type, comment from duckdb_columns() {here} order by column_index", [name]
    ).fetchall()
    counted = connection.execute(f"select count(*) from {identifier(name)}").fetchone()
    return Table(
        name,
        (comments[0][0] if comments else None) or "",
        tuple(key),
        tuple(Column(column, data_type, comment or "") for column, data_type, comment in columns),
        int(counted[0]) if counted else 0,
    )
