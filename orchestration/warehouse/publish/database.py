"""The DuckDB file that readers open: marts with their comments, and what this publication is.

Belongs here: filling the file that will be swapped in. Does not: the swap
(`orchestration.warehouse.publish.publication`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.changes import Change, Contents, comment, exists, replace_changed
from orchestration.warehouse.publish.tables import PublicationError, Table
from orchestration.warehouse.sql import identifier

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


def copy_mart(
    out: duckdb.DuckDBPyConnection,
    mart: str,
    key: Sequence[str],
    former_key: Sequence[str] | None,
    contents: Contents,
    standing_before: date | None = None,
    warehouse: str = "warehouse",
) -> Change:
    """Bring one mart to its rows in the attached warehouse, and to the comments there; returns what was replaced.

    In an order that its rows decide: the warehouse keeps them in the order in which builds replaced them, and the same
    rows must give the same bytes. `former_key`: the key of this mart in the former publication, None without one;
    `contents` of the staged file, and `standing_before`: as `replace_changed` reads them.
    """
    schema = _schema_of(out, mart, warehouse)
    source = f"{identifier(warehouse)}.{identifier(schema)}.{identifier(mart)}"
    change = replace_changed(out, mart, source, key, former_key, contents, standing_before)
    there = "where database_name = ? and schema_name = ? and table_name = ?"
    place = [warehouse, schema, mart]
    table = out.execute(f"select comment from duckdb_tables() {there}", place).fetchone()
    columns = out.execute(f"select column_name, comment from duckdb_columns() {there}", place).fetchall()
    comment(out, mart, table[0] if table else None, dict(columns))
    return change


def former_keys(out: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    """The key of each table of the publication that the file holds; none when it holds none."""
    if not exists(out, PUBLICATION_TABLES):
        return {}
    found = out.execute(f"select table_name, key_columns from {PUBLICATION_TABLES}").fetchall()
    return {name: tuple(key) for name, key in found}


def published(out: duckdb.DuckDBPyConnection) -> tuple[datetime, str] | None:
    """When the publication that the file holds was published, and by which run; None when it holds none."""
    if not exists(out, PUBLICATION):
        return None
    # As a number: for the type of the column Python gets a timestamp without a zone.
    found = out.execute(f"select cast(epoch_us(published_at) as bigint), run_id from {PUBLICATION}").fetchone()
    if found is None or None in found:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=found[0]), str(found[1])


def drop_others(out: duckdb.DuckDBPyConnection, tables: Collection[str]) -> None:
    """Drop every table that is not among these, the two that describe the former publication included."""
    here = "database_name = current_database() and not internal and not temporary"
    for (name,) in out.execute(f"select table_name from duckdb_tables() where {here}").fetchall():
        if name not in tables:
            out.execute(f"drop table {identifier(name)}")


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
        found = out.execute("select min(bar_date), max(bar_date) from fct_net_taker_volume_daily").fetchone()
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
    comment(out, PUBLICATION, "One row: where the marts in this file come from.", _PUBLICATION_COMMENTS)


def write_tables(out: duckdb.DuckDBPyConnection, tables: Sequence[Table]) -> None:
    """The table `publication_tables`: what is published, with rows and keys."""
    out.execute(f"create table {PUBLICATION_TABLES} (table_name varchar, row_count bigint, key_columns varchar[])")
    rows = [(table.name, table.rows, list(table.key)) for table in sorted(tables, key=lambda table: table.name)]
    if rows:
        out.executemany(f"insert into {PUBLICATION_TABLES} values (?, ?, ?)", rows)
    comment(out, PUBLICATION_TABLES, "One row per published table: its rows and its key.", _TABLES_COMMENTS)
