"""PostgreSQL: every table of a publication replaced in one transaction.

Belongs here: the schema `taker`, types, keys, comments, the role that reads, and the one transaction. Does not: which
tables there are (`orchestration.warehouse.publish.publication`).

Rows are deleted and copied in anew rather than tables swapped by name. A reader in a REPEATABLE READ transaction that
names a table after such a swap finds the new one, whose rows its snapshot does not show: it reads an empty table.
Deleted rows stay visible to it. Readers do not wait either: no statement here takes a lock that they conflict with,
except when the columns of a table change. Views and grants on the tables survive.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.changes import EVERYTHING, NOTHING, Change
from orchestration.warehouse.publish.database import PUBLICATION, PUBLICATION_TABLES
from orchestration.warehouse.publish.tables import Column, PublicationError, Table
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import psycopg

SCHEMA: Final = "taker"
READER: Final = "taker_reader"
SCHEMA_COMMENT: Final = "Audited marts, replaced together by each publication. Other tables belong in another schema."

_CONNECT_SECONDS: Final = 15
# How long to wait for a reader that holds a table whose columns must change: other readers queue up behind the wait.
_LOCK_WAIT: Final = "60s"
# One publisher at a time, whichever machine it runs on; the number is "taker" in ASCII.
_PUBLISHERS: Final = 0x74616B6572
_BLOCK: Final = 1 << 20

_TYPES: Final = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "UTINYINT": "smallint",
    "USMALLINT": "integer",
    "UINTEGER": "bigint",
    "UBIGINT": "numeric(20,0)",
    "HUGEINT": "numeric(39,0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp without time zone",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "JSON": "jsonb",
    "VARCHAR[]": "text[]",
}


@dataclass(frozen=True)
class PostgresReport:
    """What was loaded: `place` is server, database and schema, `reader` states who may read."""

    place: str
    rows: int
    reader: str


def postgres_type(duckdb_type: str) -> str:
    """The PostgreSQL type that holds every value of a DuckDB type, spelled as PostgreSQL itself does."""
    exact = re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", duckdb_type)
    if exact:
        return f"numeric({exact[1]},{exact[2]})"
    try:
        return _TYPES[duckdb_type]
    except KeyError:
        raise PublicationError(
            f"a column of type {duckdb_type} cannot be published to PostgreSQL; allowed are DECIMAL(p,s), "
            f"{', '.join(_TYPES)}"
        ) from None


def place_of(url: str) -> str:
    """Where the URL leads, without user and password."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    host = parts.get("host") or "the local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{host}{port}/{parts.get('dbname')}, schema {SCHEMA}"


@contextlib.contextmanager
def replaced(
    url: str,
    source: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    scratch: Path,
    since: tuple[datetime, str] | None = None,
    changes: Mapping[str, Change] | None = None,
) -> Iterator[PostgresReport]:
    """Load `tables` of `source`; they become visible together when the block ends well, and not at all otherwise.

    `scratch` is a folder for CSV files, one at a time. `changes` in each table since the publication `since` (when, and
    by which run): where the server holds that one, no other row is replaced. Raises PublicationError, without the
    password in it.
    """
    with _one_sentence(url):
        connection = _connect(url)
    try:
        with _one_sentence(url):
            _begin(connection)
            changed = {table.name: EVERYTHING for table in tables}
            if since is not None and _published(connection) == since:
                changed |= changes or {}
            report, replaced_in = _load(connection, place_of(url), source, tables, scratch, changed)
        yield report
        with _one_sentence(url, "The files are published, PostgreSQL keeps the former publication"):
            connection.commit()
        _tidy(connection, replaced_in)
    finally:
        connection.close()


def published_run(url: str) -> str | None:
    """The run whose marts PostgreSQL holds; None when there is none, or when that cannot be known."""
    import psycopg

    try:
        with _connect(url) as connection:
            row = connection.execute(f"select run_id from {_qualified(PUBLICATION)}").fetchone()
    except psycopg.Error:
        return None
    return str(row[0]) if row else None


def _connect(url: str) -> psycopg.Connection:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(url)
    usual: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "taker publish"} | given
    # Time zone and date style decide how text becomes a timestamp, so they are set here and not by the server.
    options = f"{given.get('options') or ''} -c timezone=UTC -c datestyle=ISO".strip()
    return psycopg.connect(make_conninfo("", **(usual | {"client_encoding": "UTF8", "options": options})))


def _begin(connection: psycopg.Connection) -> None:
    execute = connection.execute
    execute("select set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)", [_LOCK_WAIT])
    # The transaction waits while the files are put in place, longer than some servers let a transaction idle.
    execute("select set_config('idle_in_transaction_session_timeout', '0', true)")
    execute("select pg_advisory_xact_lock(%s)", [_PUBLISHERS])


def _published(connection: psycopg.Connection) -> tuple[datetime, str] | None:
    """When the publication that the server holds was published, and by which run; None when that is not known."""
    columns = dict(_columns(connection, PUBLICATION))
    if columns.get("published_at") != _TYPES["TIMESTAMP"] or columns.get("run_id") != _TYPES["VARCHAR"]:
        return None
    found = connection.execute(f"select published_at, run_id from {_qualified(PUBLICATION)}".encode()).fetchone()
    return None if found is None or None in found else (found[0].replace(tzinfo=UTC), found[1])


def _load(
    connection: psycopg.Connection,
    place: str,
    source: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    scratch: Path,
    changed: Mapping[str, Change],
) -> tuple[PostgresReport, list[Table]]:
    """Bring the server to these tables; what to report, and the tables of which rows were replaced."""
    if not _one(connection, "select count(*) from pg_namespace where nspname = %s", [SCHEMA]):
        _run(connection, f"create schema {identifier(SCHEMA)}")
        _run(connection, f"comment on schema {identifier(SCHEMA)} is {literal(SCHEMA_COMMENT)}")
    _drop_tables_no_longer_published(connection, {table.name for table in tables})
    replaced_in = []
    for table in tables:
        is_new = _shape(connection, table)
        if _replace_rows(connection, source, table, EVERYTHING if is_new else changed[table.name], scratch):
            replaced_in.append(table)
        _describe(connection, table)
    report = PostgresReport(place, sum(table.rows for table in tables), _let_read(connection, tables))
    return report, replaced_in


def _replace_rows(
    connection: psycopg.Connection,
    source: duckdb.DuckDBPyConnection,
    table: Table,
    change: Change,
    scratch: Path,
) -> bool:
    """Replace the rows that changed; all of them where the others are not as many as in the publication."""
    if change != EVERYTHING:
        rest = f"select count(*) from {{}} where not ({change.rows})"
        standing = _one(connection, rest.format(_qualified(table.name)), [])
        if (standing,) != source.execute(rest.format(identifier(table.name))).fetchone():
            change = EVERYTHING
    if change == NOTHING:
        return False
    _run(connection, f"delete from {_qualified(table.name)} where {change.rows}")
    _copy(connection, source, table, change, scratch)
    return True


def _drop_tables_no_longer_published(connection: psycopg.Connection, published: set[str]) -> None:
    """Only tables that an earlier publication names; other tables in the schema stay."""
    if not _columns(connection, PUBLICATION_TABLES):
        return
    former = connection.execute(f"select table_name from {_qualified(PUBLICATION_TABLES)} order by 1".encode())
    for (name,) in former.fetchall():
        if name not in published:
            _run(connection, f"drop table if exists {_qualified(name)}")


def _shape(connection: psycopg.Connection, table: Table) -> bool:
    """Make the table, or make it anew when it stands with other columns or another key; whether it was made."""
    wanted = [(column.name, postgres_type(column.type)) for column in table.columns]
    standing = _columns(connection, table.name)
    if standing and (standing, _key(connection, table.name)) == (wanted, table.key):
        return False
    if standing:
        _run(connection, f"drop table {_qualified(table.name)}")
    columns = [f"{identifier(name)} {kind}" for name, kind in wanted]
    key = [f"primary key ({_names(table.key)})"] if table.key else []
    _run(connection, f"create table {_qualified(table.name)} ({', '.join(columns + key)})")
    return True


def _columns(connection: psycopg.Connection, table: str) -> list[tuple[str, str]]:
    query = (
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum"
    )
    return connection.execute(query, [_qualified(table)]).fetchall()


def _key(connection: psycopg.Connection, table: str) -> tuple[str, ...]:
    query = (
        "select attname from pg_index, unnest(indkey) with ordinality as part (number, place), pg_attribute "
        "where indrelid = to_regclass(%s) and indisprimary and attrelid = indrelid and attnum = number order by place"
    )
    return tuple(name for (name,) in connection.execute(query, [_qualified(table)]).fetchall())


def _copy(
    connection: psycopg.Connection, source: duckdb.DuckDBPyConnection, table: Table, change: Change, scratch: Path
) -> None:
    """DuckDB writes CSV and PostgreSQL reads it: no row passes through Python, and every value is exact as text."""
    path = scratch / f"{table.name}.csv"
    selected = ", ".join(f"{_as_text(column)} as {identifier(column.name)}" for column in table.columns)
    # Quotes distinguish '' from NULL, and keep a lone \. from ending the copy.
    texts = [identifier(column.name) for column in table.columns if column.type in ("VARCHAR", "VARCHAR[]", "JSON")]
    quoted = f", force_quote ({', '.join(texts)})" if texts else ""
    counted = source.execute(
        f"copy (select {selected} from {identifier(table.name)} where {change.rows}) to {literal(str(path))} "
        f"(format csv, header false{quoted})"
    ).fetchone()
    rows = counted[0] if counted else None
    names = _names([column.name for column in table.columns])
    statement = f"copy {_qualified(table.name)} ({names}) from stdin (format csv)".encode()
    with path.open("rb") as file, connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            while block := file.read(_BLOCK):
                copy.write(block)
        if cursor.rowcount != rows:
            raise PublicationError(f"PostgreSQL took {cursor.rowcount} of {rows} rows of {table.name}")
    path.unlink()


def _as_text(column: Column) -> str:
    name = identifier(column.name)
    if column.type != "VARCHAR[]":
        return name
    escaped = "replace(replace(part, '\\', '\\\\'), '\"', '\\\"')"
    element = f"case when part is null then 'NULL' else '\"' || {escaped} || '\"' end"
    return f"'{{' || array_to_string(list_transform({name}, lambda part: {element}), ',') || '}}'"


def _describe(connection: psycopg.Connection, table: Table) -> None:
    """Comments, where they differ: each one written costs a row in the catalogue."""
    query = (
        "select coalesce(attname, ''), description from pg_description "
        "left join pg_attribute on attrelid = objoid and attnum = objsubid and objsubid > 0 "
        "where objoid = to_regclass(%s) and classoid = 'pg_class'::regclass"
    )
    standing: dict[str, str] = dict(connection.execute(query, [_qualified(table.name)]).fetchall())
    if standing.get("", "") != table.description:
        _run(connection, f"comment on table {_qualified(table.name)} is {literal(table.description)}")
    for column in table.columns:
        if standing.get(column.name, "") != column.description:
            place = f"{_qualified(table.name)}.{identifier(column.name)}"
            _run(connection, f"comment on column {place} is {literal(column.description)}")


def _let_read(connection: psycopg.Connection, tables: Sequence[Table]) -> str:
    """Grant the reading role what it lacks; make the role if this user may. Returns a sentence on who may read."""
    import psycopg

    if not _one(connection, "select count(*) from pg_roles where rolname = %s", [READER]):
        try:
            with connection.transaction():
                _run(connection, f"create role {READER} nologin")
        except psycopg.errors.InsufficientPrivilege:
            return (
                f"the role {READER} does not exist and this user may not create it; once, as an administrator: "
                f"create role {READER} nologin"
            )
    if not _one(connection, "select has_schema_privilege(%s, %s, 'usage')", [READER, SCHEMA]):
        _run(connection, f"grant usage on schema {identifier(SCHEMA)} to {READER}")
    for table in tables:
        if not _one(connection, "select has_table_privilege(%s, %s, 'select')", [READER, _qualified(table.name)]):
            _run(connection, f"grant select on {_qualified(table.name)} to {READER}")
    return f"the role {READER} may read"


def _tidy(connection: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Give the space of the former rows back and count the new ones for the planner. It blocks no reader."""
    import psycopg

    # The publication is complete by now, and a server that vacuums by itself gets there too.
    with contextlib.suppress(psycopg.Error):
        connection.autocommit = True
        for table in tables:
            _run(connection, f"vacuum (analyze, truncate false) {_qualified(table.name)}")


def _one(connection: psycopg.Connection, query: str, parameters: Sequence[Any]) -> Any:
    row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None


def _run(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement.encode())


def _qualified(table: str) -> str:
    return f"{identifier(SCHEMA)}.{identifier(table)}"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(identifier(column) for column in columns)


@contextlib.contextmanager
def _one_sentence(url: str, state: str = "Nothing was published, the former publication stands") -> Iterator[None]:
    """An error of the server as one sentence. The cause is not chained: a password must not reach a log that way."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        reported = _without_password(" ".join(str(error).split()), url)
        raise PublicationError(
            f"PostgreSQL at {place_of(url)}: {reported.rstrip('.')}; {_advice(error)}. {state}"
        ) from None


def _advice(error: psycopg.Error) -> str:
    from psycopg import errors

    if isinstance(error, errors.DependentObjectsStillExist):
        return "the columns of a table changed: drop what depends on it, publish, and create it anew"
    if isinstance(error, errors.LockNotAvailable):
        return "end the session that holds the table or the other publication, and publish again"
    if isinstance(error, errors.InsufficientPrivilege):
        return f"the user of TAKER_PUBLISH_POSTGRES_URL must own the schema {SCHEMA} or be allowed to create it"
    return "check TAKER_PUBLISH_POSTGRES_URL and the server, and publish again"


def _without_password(text: str, url: str) -> str:
    from urllib.parse import urlsplit

    from psycopg.conninfo import conninfo_to_dict

    for secret in (conninfo_to_dict(url).get("password"), urlsplit(url).password):
        if secret:
            text = text.replace(str(secret), "***")
    return text
