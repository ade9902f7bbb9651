"""The lake of publications: every table of a publication replaced in one transaction, which is one snapshot.

Belongs here: bringing the tables to the rows and comments of the staged file, and the one transaction. Does not: which
tables there are (`orchestration.warehouse.publish.publication`), former snapshots
(`orchestration.warehouse.lake.expiry`).

A reader sees one snapshot for the length of its transaction, so all tables of one publication. Rows that have not
changed stay in their files, which the former snapshots have too.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.lake.catalog import Lake, LakeUnusable, place_of, without_password
from orchestration.warehouse.lake.expiry import PUBLICATION as MESSAGE
from orchestration.warehouse.place import SCHEMA
from orchestration.warehouse.publish.changes import EVERYTHING, NOTHING, Change
from orchestration.warehouse.publish.database import PUBLICATION
from orchestration.warehouse.publish.tables import PublicationError, Table
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

_STAGED: Final = "staged"
_LAKE: Final = "lake"


@dataclass(frozen=True)
class LakeReport:
    """What was written: `place` is server, database and schema of the catalog."""

    place: str
    rows: int


@contextlib.contextmanager
def laid(
    lake: Lake,
    staged: Path,
    tables: Sequence[Table],
    spill: Path,
    *,
    run_id: str,
    memory_limit: str,
    since: tuple[datetime, str] | None = None,
    changes: Mapping[str, Change] | None = None,
) -> Iterator[LakeReport]:
    """Lay the tables of the file `staged` into the lake; they become visible together when the block ends well, and not
    at all otherwise.

    `changes` in each table since the publication `since` (when, and by which run): where the lake holds that one, no
    other row is replaced. Raises PublicationError, without the password in it.
    """
    import duckdb

    with duckdb.connect() as connection:
        with _one_sentence(lake):
            _open(connection, lake, staged, spill, memory_limit)
            connection.execute("begin")
            changed = {table.name: EVERYTHING for table in tables}
            if since is not None and _published(connection) == since:
                changed |= changes or {}
            for table in tables:
                _lay(connection, table, changed[table.name])
            _drop_others(connection, {table.name for table in tables})
            connection.execute(
                f"call {_LAKE}.set_commit_message('taker', ?, extra_info => ?)", [MESSAGE, json.dumps({"run": run_id})]
            )
        yield LakeReport(f"{place_of(lake.config)}, schema {lake.schema}", sum(table.rows for table in tables))
        with _one_sentence(lake, "The files are published, the lake keeps the former publication"):
            connection.execute("commit")


def published_run(lake: Lake) -> str | None:
    """The run whose marts the lake holds; None when there is none, or when that cannot be known."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            lake.attach(connection, _LAKE)
            found = _published(connection)
    except (duckdb.Error, LakeUnusable):
        return None
    return found[1] if found else None


def _open(connection: duckdb.DuckDBPyConnection, lake: Lake, staged: Path, spill: Path, memory_limit: str) -> None:
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"set memory_limit = {literal(memory_limit)}")
    connection.execute(f"set temp_directory = {literal(str(spill))}")
    connection.execute(f"attach {literal(str(staged))} as {_STAGED} (read_only)")
    lake.attach(connection, _LAKE, read_only=False)


def _published(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, str] | None:
    """When the publication that the lake holds was published, and by which run; None when it holds none."""
    if not _columns(connection, _LAKE, PUBLICATION):
        return None
    found = connection.execute(
        f"select cast(epoch_us(published_at) as bigint), run_id from {_named(_LAKE, PUBLICATION)}"
    ).fetchone()
    if found is None or None in found:
        return None
    seconds, microseconds = divmod(found[0], 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds), str(found[1])


def _lay(connection: duckdb.DuckDBPyConnection, table: Table, change: Change) -> None:
    """Bring one table to the rows and comments of the staged one."""
    target, source = _named(_LAKE, table.name), _named(_STAGED, table.name)
    is_same_shape = _columns(connection, _LAKE, table.name) == _columns(connection, _STAGED, table.name)
    if not is_same_shape or not _has_the_rest(connection, target, source, change):
        change = EVERYTHING
    if change == EVERYTHING:
        connection.execute(f"create or replace table {target} as from {source}")
    elif change != NOTHING:
        connection.execute(f"delete from {target} where {change.rows}")
        connection.execute(f"insert into {target} from {source} where {change.rows}")
    _describe(connection, table)


def _has_the_rest(connection: duckdb.DuckDBPyConnection, target: str, source: str, change: Change) -> bool:
    """Whether the rows that are to stay are as many as in the publication."""
    if change == EVERYTHING:
        return True
    counts = [
        connection.execute(f"select count(*) from {relation} where not ({change.rows})").fetchone()
        for relation in (target, source)
    ]
    return counts[0] == counts[1]


def _describe(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Comments, where they differ: each one written is a row of the catalog."""
    here = f"where database_name = '{_LAKE}' and schema_name = '{SCHEMA}' and table_name = ?"
    standing = connection.execute(f"select comment from duckdb_tables() {here}", [table.name]).fetchone()
    target = _named(_LAKE, table.name)
    if ((standing and standing[0]) or "") != table.description:
        connection.execute(f"comment on table {target} is {literal(table.description)}")
    texts = dict(
        connection.execute(f"select column_name, comment from duckdb_columns() {here}", [table.name]).fetchall()
    )
    for column in table.columns:
        if (texts.get(column.name) or "") != column.description:
            connection.execute(f"comment on column {target}.{identifier(column.name)} is {literal(column.description)}")


def _drop_others(connection: duckdb.DuckDBPyConnection, published: set[str]) -> None:
    names = connection.execute(f"select table_name from duckdb_tables() where database_name = '{_LAKE}'").fetchall()
    for (name,) in names:
        if name not in published:
            connection.execute(f"drop table {_named(_LAKE, name)}")


def _columns(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [database, SCHEMA, table],
    ).fetchall()


def _named(database: str, table: str) -> str:
    return f"{database}.{SCHEMA}.{identifier(table)}"


@contextlib.contextmanager
def _one_sentence(lake: Lake, state: str = "Nothing was published, the former publication stands") -> Iterator[None]:
    """An error of the lake as one sentence. The cause is not chained: a password must not reach a log that way."""
    import duckdb

    try:
        yield
    except (duckdb.Error, LakeUnusable) as error:
        reason = without_password(" ".join(str(error).split()), lake.config).rstrip(".")
        raise PublicationError(
            f"the lake at {place_of(lake.config)}: {reason}; check TAKER_LAKE_CATALOG_URL, the server and the storage, "
            f"and publish again. {state}"
        ) from None
