"""What of a published table differs from the former publication, and writing that and nothing else.

Belongs here: comparing the rows of a table with those of its source, and replacing them. Does not: which tables there
are (`orchestration.warehouse.publish.publication`), how each target is written (the modules beside).

The staged file begins as a copy of the former one. Its rows are compared with those of the source by their content,
month by month: their number and a sum of their hashes. From the first month that differs, rows are deleted and copied
anew, so that a table is always in the order that it has when it is written whole: by month, and within a month by its
key. What cannot be compared (other columns, another key, another order) is written whole.

What a table holds once it was compared is that of its source: where the former file is the one that was left, its rows
need not be read. Months of the source of which the audit found that they stand (`orchestration.warehouse.standing`) are
not read either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.tables import Table
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

_MONTHLY: Final = ("DATE", "TIMESTAMP")

# A publication consists of tables in one schema. Anything else was added to the file by another program.
_FOREIGN: Final = """
    select count(*)
    from (
        select database_name from duckdb_schemas() where not internal and schema_name <> 'main'
        union all select database_name from duckdb_views() where not internal
        union all select database_name from duckdb_functions() where not internal
        union all select database_name from duckdb_types() where not internal
        union all select database_name from duckdb_sequences()
        union all select database_name from duckdb_indexes()
        union all select database_name from duckdb_constraints()
        union all select database_name from duckdb_columns() where not internal and column_default is not null
    ) as found
    where database_name = current_database()
"""


@dataclass(frozen=True)
class Change:
    """Which rows of a table are replaced by those of its source: a condition that DuckDB and PostgreSQL understand."""

    rows: str


NOTHING: Final = Change("false")
EVERYTHING: Final = Change("true")

# By month (its number since the year 0; None without one): how many rows, and the sum of their hashes.
_Content = Mapping[int | None, tuple[int, int]]


@dataclass
class Contents:
    """What the tables of a publication hold, as far as it was compared; those of a file that is brought to other rows
    become those of its sources."""

    by_table: dict[str, _Content] = field(default_factory=dict)

    @classmethod
    def of(cls, stated: Mapping[str, Any] | None) -> Contents:
        """What `statement` gave; nothing where that was of a version of DuckDB that may hash otherwise."""
        import duckdb

        if not stated or stated["duckdb"] != duckdb.__version__:
            return cls()
        tables = stated["tables"].items()
        return cls({name: {month: (rows, total) for month, rows, total in months} for name, months in tables})

    def statement(self) -> dict[str, Any]:
        """As JSON can hold it."""
        import duckdb

        tables = {name: [[month, *found] for month, found in months.items()] for name, months in self.by_table.items()}
        return {"duckdb": duckdb.__version__, "tables": tables}


@dataclass(frozen=True)
class Month:
    """The rows of a table in one month: a condition, as above. `rows`: how many."""

    condition: str
    rows: int


@contextlib.contextmanager
def at_once(out: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """The statements of this block in one transaction: each of its own would wait for the disk."""
    out.execute("begin")
    yield
    out.execute("commit")


def is_basis(out: duckdb.DuckDBPyConnection) -> bool:
    """Whether a copy of the former file can be brought to the rows of now: nothing foreign in it, and not mostly air.

    Space that replaced rows leave is used by later ones, but never returned: a file of which half is free is written
    anew.
    """
    foreign, (free, total) = out.execute(_FOREIGN).fetchone(), _space(out)
    return foreign == (0,) and 2 * free <= total


def _space(out: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    found = out.execute(
        "select free_blocks, total_blocks from pragma_database_size() where database_name = current_database()"
    ).fetchone()
    return found or (0, 0)


def columns_of(out: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    """Name and type of each column, in order."""
    return [(name, kind) for name, kind, *_ in out.execute(f"describe {relation}").fetchall()]


def exists(out: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether the file that is being built has this table."""
    here = "database_name = current_database() and schema_name = 'main' and table_name = ?"
    return out.execute(f"select count(*) from duckdb_tables() where {here}", [table]).fetchone() != (0,)


def replace_changed(
    out: duckdb.DuckDBPyConnection,
    table: str,
    source: str,
    key: Sequence[str],
    former_key: Sequence[str] | None,
    contents: Contents,
    standing_before: date | None = None,
) -> Change:
    """Make `table` hold the rows of the relation `source` in their order; returns what was replaced.

    `former_key`: the key that the table had when it was written, None for a table that was not published. `contents`:
    of the file, where they are known, and afterwards those of now. `standing_before`: a UTC day before which the
    rows of `source` are those of `table`: of whole months, they are not read.
    """
    columns = columns_of(out, source)
    month = _month(columns, key)
    change, former = EVERYTHING, contents.by_table.pop(table, None)
    if former_key is not None and tuple(former_key) == tuple(key) and exists(out, table):
        names = [name for name, _ in columns]
        if columns_of(out, identifier(table)) == columns:
            if former is None:
                former = _content_in_order(out, table, names, month)
            if former is not None:
                now = _content_now(out, source, columns, month, former, standing_before)
                contents.by_table[table] = now
                change = _differing(former, now, columns, month)
    # Of a table without a key, all columns decide.
    order = ", ".join([*([_number_of(month)] if month else []), *map(identifier, key)]) or "all"
    target = identifier(table)
    if change == EVERYTHING:
        out.execute(f"create or replace table {target} as from {source} order by {order}")
    elif change != NOTHING:
        out.execute(f"delete from {target} where {change.rows}")
        out.execute(f"insert into {target} from {source} where {change.rows} order by {order}")
    return change


def months_of(out: duckdb.DuckDBPyConnection, table: Table, change: Change) -> tuple[int, list[Month]]:
    """How many rows come before those that were replaced, and the months of these, in the order of the table; no months
    where the table has no order of months, or rows of none."""
    columns = [(column.name, column.type) for column in table.columns]
    month, relation = _month(columns, table.key), identifier(table.name)
    if month is None:
        return 0, []
    counted = f"select {_number_of(month)}, count(*) from {relation} where {change.rows} group by 1 order by 1"
    found = out.execute(counted).fetchall()
    if any(number is None for number, _ in found):
        return 0, []
    name, kind = identifier(month), _type_of(columns, month)
    months = [
        Month(f"{name} >= {kind} '{_first_of(number)}' and {name} < {kind} '{_first_of(number + 1)}'", rows)
        for number, rows in found
    ]
    return table.rows - sum(each.rows for each in months), months


def _differing(former: _Content, now: _Content, columns: Sequence[tuple[str, str]], month: str | None) -> Change:
    """The rows from the first month on in which the two differ."""
    none = (0, 0)
    differing = [number for number in former.keys() | now.keys() if former.get(number, none) != now.get(number, none)]
    if not differing:
        return NOTHING
    if month is None or None in former or None in now:
        return EVERYTHING
    first = min(number for number in differing if number is not None)
    return Change(f"{identifier(month)} >= {_type_of(columns, month)} '{_first_of(first)}'")


def _content(out: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str], month: str | None) -> _Content:
    return {number: (rows, int(total)) for number, rows, total in _by_month(out, relation, columns, month)}


def _content_now(
    out: duckdb.DuckDBPyConnection,
    source: str,
    columns: Sequence[tuple[str, str]],
    month: str | None,
    former: _Content,
    standing_before: date | None,
) -> _Content:
    """The content of the source; of months that stand whole, that of the former file."""
    if month is None or standing_before is None or None in former:
        return _content(out, source, [name for name, _ in columns], month)
    first = standing_before.year * 12 + standing_before.month - 1
    standing: _Content = {number: found for number, found in former.items() if number is not None and number < first}
    # Rows of no month are read, wherever they come from.
    column, kind = identifier(month), _type_of(columns, month)
    relation = f"(from {source} where {column} >= {kind} '{_first_of(first)}' or {column} is null) as changed"
    return {**standing, **_content(out, relation, [name for name, _ in columns], month)}


def _content_in_order(
    out: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], month: str | None
) -> _Content | None:
    """None unless every month begins after the one before it has ended, as in a table that this module has written."""
    found = _by_month(out, identifier(table), columns, month, "min(rowid), max(rowid)")
    places = sorted(((number is None, number or 0), first, last) for number, _, _, first, last in found)
    if any(before[2] >= after[1] for before, after in pairwise(places)):
        return None
    return {number: (rows, int(total)) for number, rows, total, *_ in found}


def _by_month(
    out: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str], month: str | None, *more: str
) -> list[tuple[Any, ...]]:
    """The number of each month, its rows, the sum of their hashes, and `more` aggregates."""
    number = _number_of(month) if month else "null::integer"
    hashes = f"sum(hash({', '.join(map(identifier, columns))}))"
    return out.execute(f"select {', '.join([number, 'count(*)', hashes, *more])} from {relation} group by 1").fetchall()


def _month(columns: Sequence[tuple[str, str]], key: Sequence[str]) -> str | None:
    """The column whose month a row belongs to: the first time in the key."""
    types = dict(columns)
    return next((name for name in key if types.get(name) in _MONTHLY), None)


def _type_of(columns: Sequence[tuple[str, str]], name: str) -> str:
    return dict(columns)[name].lower()


def _first_of(number: int) -> str:
    """The first day of the month of this number."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}-01"


def _number_of(month: str) -> str:
    return f"year({identifier(month)}) * 12 + month({identifier(month)}) - 1"


def comment(
    out: duckdb.DuckDBPyConnection, table: str, text: str | None, column_texts: Mapping[str, str | None]
) -> None:
    """Give the table and its columns these comments, where they have others."""
    here = "where database_name = current_database() and schema_name = 'main' and table_name = ?"
    standing = out.execute(f"select comment from duckdb_tables() {here}", [table]).fetchone()
    if standing != (text,):
        out.execute(f"comment on table {identifier(table)} is {_text(text)}")
    for name, found in out.execute(f"select column_name, comment from duckdb_columns() {here}", [table]).fetchall():
        if found != column_texts.get(name):
            out.execute(f"comment on column {identifier(table)}.{identifier(name)} is {_text(column_texts.get(name))}")


def _text(text: str | None) -> str:
    return "null" if text is None else literal(text)
