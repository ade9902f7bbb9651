"""A connection to the published marts, and what can be wrong with a question to them.

Belongs here: opening marts.duckdb or the lake read-only, one query, naming a published market, the errors of all of
these. Does not: which of the two is read (`orchestration.config.marts`), what is queried (the modules beside this one),
how it is printed (`orchestration.cli`). Imports no dagster, so that `taker sql` answers at once.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestration.config.marts import MACHINE, LakeMarts, Marts
from orchestration.state.healing import NotDamaged, damage_in
from orchestration.warehouse.lake import published as lake
from orchestration.warehouse.lake.catalog import without_password
from orchestration.warehouse.opening import WarehouseUnusable
from orchestration.warehouse.publish.database import PUBLICATION
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_T = TypeVar("_T")

# A query reads the marts: no other file, no address, no extension, no variable of this program; and no query changes
# that. Connections of one process to one file share a database, so the first one sets this for all of them.
_CONFIGURATION: Final = (
    "set global timezone = 'UTC'",
    "set global enable_external_access = false",
    "set global python_enable_replacements = false",
    "set global lock_configuration = true",
)
_CONFIGURING: Final = threading.Lock()
# DESCRIBE, SHOW and SUMMARIZE are SELECT to DuckDB.
_READING: Final = ("SELECT", "EXPLAIN")
# Functions of a SELECT that change the running database, or a lake and its catalog; writing its log to a file, which is
# refused, ends the process.
REFUSED: Final = re.compile(
    r"\b(?:(?:en|dis)able_(?:logging|profiling|profile|checkpoint)\w*|(?:ducklake|postgres)_\w+(?=\s*\())",
    re.IGNORECASE,
)


FIRST_STEPS: Final = "run `taker run`, or `taker demo` for a first look (then add --demo)"


class NothingPublished(Exception):
    """There are no published marts yet. The text names the commands that make them."""


class PublicationUnreadable(Exception):
    """What is published is there, or may be, and cannot be read. The text states why, and what to do."""


class QueryFailed(Exception):
    """The database refused a query; the text is its reason."""


class PublicationOutdated(QueryFailed):
    """Another version of Taker has written the publication: it lacks a table or column that this one reads. The text
    states so, and what to do."""


class DayNotPublished(ValueError):
    """The published marts do not reach that day. The text names the days that they hold."""


class MarketNotPublished(ValueError):
    """No published market, or more than one, is meant. The text lists the choices."""


@contextmanager
def connect(serving: Marts) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the published marts.

    Raises NothingPublished; PublicationUnreadable, also when damage is noticed only as the file is read;
    PublicationOutdated for a publication without a table or column that is queried; NoHistory for a time before the
    history of the lake begins.
    """
    import duckdb

    if isinstance(serving, LakeMarts):
        with _in_lake(serving) as connection:
            yield connection
        return
    _require_file(serving)
    try:
        with duckdb.connect(str(serving), read_only=True) as connection:
            with _CONFIGURING:
                if connection.execute("select current_setting('lock_configuration')").fetchone() != (True,):
                    for statement in _CONFIGURATION:
                        connection.execute(statement)
            yield connection
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise outdated(serving, error) from error
    except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, UnicodeDecodeError) as error:
        raise unreadable(serving, error) from error


@contextmanager
def _in_lake(marts: LakeMarts) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to what the lake has published, under the same restrictions as to the file."""
    import duckdb

    with _sentences_of(marts), duckdb.connect() as connection:
        lake.enter(marts, connection)
        for statement in (_only_files_of(marts), *_CONFIGURATION):
            connection.execute(statement)
        yield connection


@contextmanager
def _sentences_of(marts: LakeMarts) -> Iterator[None]:
    """What can be wrong with the lake as errors of this module, without the password in them."""
    import duckdb

    try:
        yield
    except lake.NoPublication as error:
        raise NothingPublished(f"{error}; {FIRST_STEPS}") from None
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise outdated(marts, error) from error
    except WarehouseUnusable as error:
        raise PublicationUnreadable(f"{error}{_instead(marts)}") from None
    except duckdb.Error as error:
        raise unreadable(marts, error) from None


def _instead(marts: LakeMarts) -> str:
    """What can be read without the lake, where there is anything."""
    if not marts.own_file.is_file():
        return ""
    return f". What this machine published last itself is read with TAKER_READ_FROM={MACHINE}"


def _require_file(serving: Path) -> None:
    if not serving.is_file():
        raise NothingPublished(f"nothing is published at {serving}; {FIRST_STEPS}")


def attach(serving: Marts, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make the published marts readable as the database `name` in a connection that reads other things too.

    NothingPublished; of a file duckdb.Error (`unreadable`, `outdated`), of the lake what `connect` raises.
    """
    if isinstance(serving, LakeMarts):
        with _sentences_of(serving):
            lake.attach(serving, connection, name)
        return
    _require_file(serving)
    connection.execute(_attaching(serving, name))


def opening(serving: Marts, name: str) -> list[str]:
    """The statements by which another program opens the published marts as `connect` does, as the database `name`.

    For the lake they hold its password and need the extensions, which are put in their place here. WarehouseUnusable.
    """
    if not isinstance(serving, LakeMarts):
        return [_attaching(serving, name), f"use {identifier(name)}", *_CONFIGURATION]
    statements = lake.opening(serving, name)
    return [*statements, f"use {identifier(name)}", _only_files_of(serving), *_CONFIGURATION]


def _attaching(serving: Path, name: str) -> str:
    return f"attach {literal(str(serving))} as {identifier(name)} (read_only)"


def _only_files_of(marts: LakeMarts) -> str:
    """Its Parquet files are the only ones that a query may read."""
    return f"set global allowed_directories = [{literal(lake.lake_read(marts).data_url)}]"


def run_of(serving: Marts) -> str:
    """The run whose publication stands: another publication is of another run. Raises what `connect` raises."""
    with connect(serving) as connection:
        found = connection.execute(f"select run_id from {PUBLICATION}").fetchone()
    return str(found[0]) if found else ""


def run_if_any(serving: Marts) -> str | None:
    """The run whose publication stands; None where none does, or it cannot be read."""
    try:
        return run_of(serving)
    except (NothingPublished, PublicationUnreadable, QueryFailed):
        return None


def named(serving: Marts) -> str:
    """What is read, in words."""
    return lake.described(serving) if isinstance(serving, LakeMarts) else str(serving)


def unreadable(serving: Marts, error: Exception) -> PublicationUnreadable:
    """The error of a publication that cannot be read: of a file its content, version or lock, of a lake a server."""
    if isinstance(serving, LakeMarts):
        why = without_password(str(error).strip().splitlines()[0], lake.lake_read(serving).config)
        remedy = f"check the catalog and the storage, and try again{_instead(serving)}"
        return PublicationUnreadable(f"the publication {named(serving)} cannot be read ({why}); {remedy}")
    try:
        why, remedy = f"it is damaged: {damage_in(error)}", "`taker run` sets it aside and publishes it anew"
    except NotDamaged as other:
        why, remedy = str(other), "end what uses it, or see to its permissions, and try again"
        if "version" in why:
            remedy = "update Taker with `make setup`, or remove the file and publish it anew with `taker run`"
    return PublicationUnreadable(f"the publication {serving} cannot be read ({why}); {remedy}")


def query(serving: Marts, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query over the published marts. Raises QueryFailed and what `connect` raises."""
    return _answered(serving, sql, lambda done: ([column[0] for column in done.description or ()], done.fetchall()))


def query_columns(serving: Marts, sql: str) -> pa.Table:
    """The same as columns with their types, exact decimals included."""
    return _answered(serving, sql, lambda done: done.to_arrow_table())


def _answered(serving: Marts, sql: str, taken: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
    import duckdb

    sql.encode()  # UnicodeEncodeError: DuckDB takes text alone, and would report another
    with connect(serving) as connection:
        try:
            _refuse_halves_of_names(connection, sql)
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise QueryFailed("write one query: " + ("there is none" if not statements else "there are several"))
            kind, switch = statements[0].type.name, REFUSED.search(sql)
            if kind not in _READING or switch:
                what = switch[0] if switch else kind
                raise QueryFailed(f"the published marts are read-only; write a query, without {what}")
            return taken(connection.execute(statements[0]))
        except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException):
            raise  # of the file, not of the query
        except duckdb.Error as error:
            # The lines after the first only draw an arrow below the query, or name tables of DuckDB's own.
            reason = str(error).strip().splitlines()[0]
            raise QueryFailed(reason + _nearest(connection, reason, sql)) from error


# What is no name: texts, quoted names and comments.
_NO_NAMES: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_BEGINS_WITH_DIGIT: Final = re.compile(r"(?<![\w.])\d+[a-z_]\w*|(?<=\.)\d+[a-z_]\w*", re.IGNORECASE)


def _refuse_halves_of_names(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """QueryFailed for a column such as `4h_usd_rank` without quotes: SQL reads the number 4, called `h_usd_rank`."""
    written = {found.lower() for found in _BEGINS_WITH_DIGIT.findall(_NO_NAMES.sub(" ", sql))}
    if not written:
        return
    names = connection.execute("select distinct column_name from duckdb_columns() where not internal").fetchall()
    for (name,) in names:
        if name.lower() in written:
            raise QueryFailed(f'write "{name}" in double quotes: SQL reads a name that begins with a digit as a number')


# What DuckDB calls a name that it does not find.
_NO_TABLE: Final = re.compile(r"Table with name (\S+) does not exist")
_WORD: Final = re.compile(r"\w+")
_NO_COLUMN: Final = re.compile(r'[Cc]olumn(?: named)? "(\w+)"|does not have a column named "(\w+)"')


def _nearest(connection: duckdb.DuckDBPyConnection, reason: str, sql: str) -> str:
    """`; did you mean …?` where a table or column is misspelt, and where the names stand. Of columns, those of the
    tables that the query names come first."""
    of_query: set[str] = set()
    if found := _NO_TABLE.search(reason):
        names = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
    elif found := _NO_COLUMN.search(reason):
        rows = connection.execute("select table_name, column_name from duckdb_columns() where not internal").fetchall()
        words = set(_WORD.findall(sql.lower()))
        names, of_query = {name for _, name in rows}, {name for table, name in rows if table in words}
    else:
        return ""
    written = next(group for group in found.groups() if group).lower()
    if written in names:
        return f"; {_tables_with(connection, written)}"
    close = closest(written, sorted(of_query)) or closest(written, sorted(names))
    return f"; did you mean `{close}`?" if close else "; `taker tables` lists the tables and their columns"


def _tables_with(connection: duckdb.DuckDBPyConnection, column: str) -> str:
    """Where the column is, in a few words."""
    found = connection.execute("select table_name, column_name from duckdb_columns() where not internal").fetchall()
    tables = sorted(table for table, name in found if name == column)
    more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""
    return f"it is a column of {', '.join(tables[:3])}{more}"


def outdated(serving: Marts, error: Exception) -> PublicationOutdated:
    """The error of a publication that lacks a table or column which is read."""
    is_former = isinstance(serving, LakeMarts) and serving.at is not None
    remedy = "name a later time" if is_former else "`taker run` publishes anew"
    reason = re.sub(r"^\w+ Error: ", "", str(error).strip().splitlines()[0]).rstrip("!.")
    return PublicationOutdated(
        f"the publication {named(serving)} was written by another version of Taker and lacks what this one reads "
        f"({reason}); {remedy}"
    )


def resolve_market(written: str | None, published: Sequence[str]) -> str:
    """The published market that was meant: by its id, by its symbol where only one venue has it, or the only one."""
    choices = ", ".join(published)
    if written is None:
        if len(published) == 1:
            return published[0]
        raise MarketNotPublished(f"which market? published are: {choices or 'none'}")
    by_id = [market for market in published if market.lower() == written.lower()]
    found = by_id or [market for market in published if market.partition(":")[2].lower() == written.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise MarketNotPublished(f"`{written}` may be {' or '.join(found)}; name the market with its venue")
    names = {name.lower(): name for market in published for name in (market, market.partition(":")[2])}
    close = closest(written.lower(), list(names))
    hint = f"did you mean `{names[close]}`? " if close else ""
    raise MarketNotPublished(f"the market `{written}` is not published; {hint}published are: {choices or 'none'}")


def closest(word: str, words: Sequence[str]) -> str | None:
    """The one of `words` that a misspelt `word` was probably meant to be."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.75)
    return found[0] if found else None
