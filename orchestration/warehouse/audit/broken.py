"""A rule as SQL: how many rows of a frame break it, and which.

Belongs here: the condition of each rule, counted by the database, so that no frame leaves it whole. Does not: what is
expected (`suites`), the verdict (`gx`).

Unknown is what Great Expectations takes for it: NULL, and NaN of a double. `Holds`, `Zero` and `Known` are broken by
it, the other rules skip it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.audit.expectations import columns_of, expectation_of
from orchestration.warehouse.audit.rules import (
    AtLeast,
    AuditSuite,
    Between,
    Holds,
    Known,
    Never,
    NotEmpty,
    OneOf,
    Rule,
    UniqueKey,
    Zero,
)
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

SAMPLE_ROWS: Final = 10
_WITH_NAN: Final = ("DOUBLE", "FLOAT")


class AuditNotEvaluated(RuntimeError):
    """An expectation could not be evaluated (a column is missing, a type is wrong): nothing is known about the mart."""


@dataclass(frozen=True)
class Counted:
    """A frame, and how many of its rows break each rule of its suite.

    `frame`: the SQL that draws it. `types`: its columns. `judged`: its rows. `broken`: in the order of the rules; of
    `NotEmpty` 1 where there is no row.
    """

    suite: AuditSuite
    frame: str
    types: Mapping[str, str]
    judged: int
    broken: tuple[int, ...]


def count_broken(connection: duckdb.DuckDBPyConnection, suite: AuditSuite, frame: str) -> Counted:
    """Count in the database; raises AuditNotEvaluated where it cannot."""
    import duckdb

    try:
        described = connection.execute(f"describe select * from ({frame}) as frame").fetchall()
        types = {str(name): str(kind) for name, kind, *_ in described}
        refuse_missing_columns(suite, types)
        conditions = [condition(rule, suite, types) for rule in suite.rules]
        key = ", ".join(map(identifier, suite.key))
        # Keys in the same pass: a frame has joins, and drawing it costs more than counting.
        drawn = [f"count(distinct row({key}))", *(f"count(*) filter (where {each})" for each in conditions if each)]
        row = connection.execute(f"select count(*), {', '.join(drawn)} from ({frame}) as frame").fetchone()
        assert row is not None
        judged, keys, counted = int(row[0]), int(row[1]), iter(row[2:])
        broken = []
        for rule, each in zip(suite.rules, conditions, strict=True):
            if each:
                broken.append(int(next(counted)))
            elif isinstance(rule, NotEmpty):
                broken.append(int(judged == 0))
            else:
                broken.append(0 if keys == judged else _duplicates(connection, suite, frame))
    except duckdb.Error as error:
        raise AuditNotEvaluated(f"the suite {suite.name} could not be evaluated: {error}") from error
    return Counted(suite, frame, types, judged, tuple(broken))


def failing_rows(connection: duckdb.DuckDBPyConnection, counted: Counted, rule: Rule) -> pd.DataFrame:
    """Rows that break `rule`, the first ones by key; at most SAMPLE_ROWS."""
    each, key = condition(rule, counted.suite, counted.types), ", ".join(map(identifier, counted.suite.key))
    if not each:
        if isinstance(rule, NotEmpty):
            each = "true"  # of no rows
        else:
            each = f"({key}) in (select ({key}) from ({counted.frame}) as frame group by {key} having count(*) > 1)"
    return connection.execute(
        f"select * from ({counted.frame}) as frame where {each} order by {key} limit {SAMPLE_ROWS}"
    ).df()


def condition(rule: Rule, suite: AuditSuite, types: Mapping[str, str]) -> str:
    """The rows that break `rule`, as a condition; empty for a rule about more than single rows."""
    known = {column: _known(column, types) for column in columns_of(expectation_of(rule, suite.key)[1])}
    match rule:
        case Holds(column):
            return f"not coalesce({known[column]}, {_literal(rule.if_null)})"
        case Zero(column):
            return f"coalesce({known[column]}, {_literal(rule.if_null)}) <> 0"
        case Between(column, low, high):
            below = [f"{known[column]} {'<=' if rule.strictly_above else '<'} {_literal(low)}"] * (low is not None)
            above = [f"{known[column]} > {_literal(high)}"] * (high is not None)
            return " or ".join([*below, *above])
        case AtLeast(larger, smaller):
            return f"{known[larger]} < {known[smaller]}"
        case OneOf(column, values):
            return f"{known[column]} not in ({', '.join(map(_literal, values))})"
        case Never(column, value):
            return f"{known[column]} = {_literal(value)}"
        case Known(column):
            return f"{known[column]} is null"
        case UniqueKey() | NotEmpty():
            return ""


def refuse_missing_columns(suite: AuditSuite, types: Mapping[str, str]) -> None:
    """AuditNotEvaluated unless the frame has every column that a rule judges or shows."""
    for rule in suite.rules:
        needed = [*suite.key, *columns_of(expectation_of(rule, suite.key)[1]), *rule.shows]
        if missing := [column for column in needed if column not in types]:
            raise AuditNotEvaluated(f"the suite {suite.name} draws no column {', '.join(missing)}: {rule}")


def _duplicates(connection: duckdb.DuckDBPyConnection, suite: AuditSuite, frame: str) -> int:
    """Rows that share their key with another."""
    key = ", ".join(map(identifier, suite.key))
    found = connection.execute(
        "select coalesce(sum(row_count), 0) from "
        f"(select count(*) as row_count from ({frame}) as frame group by {key} having count(*) > 1) as shared"
    ).fetchone()
    assert found is not None
    return int(found[0])


def _known(column: str, types: Mapping[str, str]) -> str:
    name = identifier(column)
    return f"(case when isnan({name}) then null else {name} end)" if types[column] in _WITH_NAN else name


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return literal(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)
