"""The DuckDB file that readers open: marts with their comments, and what this publication is.

Belongs here: filling the file that will be swapped in. Does not: the swap
(`orchestration.warehouse.publish.publication`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.tables import PublicationError, Table
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

PUBLICATION: Final = "publication"
PUBLICATION_TABLES: Final = "publication_tables"

_PUBLICATION_COMMENTS: Final = {
    "published_at": "When these marts were published, UTC.",
    "run_id": "Dagster run that built and audited them.",
    "first_day": "First UTC day with a daily bar of any market.",
    "last_day": "Last UTC day with a daily bar of any market.",
    "markets": "Markets that the marts hold.",
    "settings": "Settings of the build, as JSON.",
    "audit": "Outcome of every audit check, as JSON: passed, or warned.",
}
_TABLES_COMMENTS: Final = {
    "table_name": "Name of the table.",
    "row_count": "Rows in this publication.",
    "key_columns": "Columns that no two rows share, as tested; empty when none is declared.",
}


def copy_mart(out: duckdb.DuckDBPyConnection, mart: str, key: Sequence[str] = (), warehouse: str = "warehouse") -> None:
    """Copy one mart from the attached warehouse, with the comments of the table and its columns.

    In the order of its key, or of all columns: the warehouse keeps rows in the order in which builds replaced them, and
    the same rows must give the same bytes.
    """
    schema = _schema_of(out, mart, warehouse)
    source = f"{identifier(warehouse)}.{identifier(schema)}.{identifier(mart)}"
    out.execute(f"create table {identifier(mart)} as from {source} order by {', '.join(map(identifier, key)) or 'all'}")
    there = "where database_name = ? and schema_name = ? and table_name = ? and comment is not null"
    place = [warehouse, schema, mart]
    table = out.execute(f"select comment from duckdb_tables() {there}", place).fetchall()
    columns = out.execute(f"select column_name, comment from duckdb_columns() {there}", place).fetchall()
    _comment(out, mart, table[0][0] if table else None, dict(columns))


def _schema_of(out: duckdb.DuckDBPyConnection, mart: str, warehouse: str) -> str:
    found = out.execute(
        "select schema_name from duckdb_tables() where database_name = ? and table_name = ?", [warehouse, mart]
    ).fetchone()
    if found is None:
        raise PublicationError(f"mart `{mart}` is not in the warehouse; run `build_and_publish`")
    return str(found[0])


def span_of(out: duckdb.DuckDBPyConnection, marts: Sequence[str]) -> tuple[date | None, date | None, tuple[str, ...]]:
    """First and last day with a daily bar, None without any, and the markets that were requested by name."""
    first = last = None
    if "fct_net_taker_volume_daily" in marts:
        found = out.execute("select min(trade_date), max(trade_date) from fct_net_taker_volume_daily").fetchone()
        first, last = found or (None, None)
    markets: tuple[str, ...] = ()
    if "dim_markets" in marts:
        rows = out.execute("select market_id from dim_markets where is_ingested order by market_id").fetchall()
        markets = tuple(market for (market,) in rows)
    return first, last, markets


def write_publication(
    out: duckdb.DuckDBPyConnection,
    span: tuple[date | None, date | None, Sequence[str]],
    *,
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
) -> None:
    """The table `publication`: one row that states where the marts in this file come from."""
    first, last, markets = span
    out.execute(
        f"create table {PUBLICATION} (published_at timestamp, run_id varchar, first_day date, last_day date, "
        "markets varchar[], settings json, audit json)"
    )
    at = now.astimezone(UTC).replace(tzinfo=None)
    row = [at, run_id, first, last, list(markets), json.dumps(settings), json.dumps(audit)]
    out.execute(f"insert into {PUBLICATION} values (?, ?, ?, ?, ?, ?, ?)", row)
    _comment(out, PUBLICATION, "One row: where the marts in this file come from.", _PUBLICATION_COMMENTS)


def write_tables(out: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """The table `publication_tables`: what is published, with rows and keys."""
    out.execute(f"create table {PUBLICATION_TABLES} (table_name varchar, row_count bigint, key_columns varchar[])")
    rows = [(table.name, table.rows, list(table.key)) for table in sorted(tables, key=lambda table: table.name)]
    if rows:
        out.executemany(f"insert into {PUBLICATION_TABLES} values (?, ?, ?)", rows)
    _comment(out, PUBLICATION_TABLES, "One row per published table: its rows and its key.", _TABLES_COMMENTS)


def _comment(
    out: duckdb.DuckDBPyConnection, table: str, comment: str | None, column_comments: Mapping[str, str]
) -> None:
    if comment:
        out.execute(f"comment on table {identifier(table)} is {literal(comment)}")
    for column, text in column_comments.items():
        out.execute(f"comment on column {identifier(table)}.{identifier(column)} is {literal(text)}")
