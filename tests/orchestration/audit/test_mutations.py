"""Mutation check of the audit: of every single rule, a planted corruption that this rule alone must find.

`test_suites` proves that Great Expectations fails on each corruption, by column and severity. Here each rule is judged
by itself, in pandas, so that two rules of one column do not hide each other: were it taken out, the corruption that it
is named with would pass, or the test below would fail. The counts of the database agree with pandas on each corruption.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from orchestration.warehouse.audit.broken import Counted, count_broken
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
from tests.orchestration.audit.auditing import ALL_SUITES, columns
from tests.orchestration.audit.corruption import Corruption
from tests.orchestration.audit.corruptions import CORRUPTIONS

# Hundreds of audits by the same lines, which test_evidence.py and test_unknowns.py run too: the tracer would cost half
# of their CPU again.
pytestmark = pytest.mark.no_cover


def is_broken(rule: Rule, frame: pd.DataFrame, suite: AuditSuite) -> bool:
    """Whether any row breaks the rule; NULL breaks `Holds`, `Zero` and `Known` only."""
    match rule:
        case NotEmpty():
            return frame.empty
        case UniqueKey():
            return bool(frame.duplicated(list(suite.key)).any())
        case AtLeast(larger, smaller):
            pairs = frame[[larger, smaller]].dropna()
            return bool((pairs[larger] < pairs[smaller]).any())
    values, known = frame[rule.column], frame[rule.column].dropna()
    match rule:
        case Holds():
            return len(known) < len(values) or not known.astype(bool).all()
        case Zero():
            return len(known) < len(values) or bool((known.astype(float) != 0).any())
        case Known():
            return len(known) < len(values)
        case OneOf(_, allowed):
            return not known.isin(list(allowed)).all()
        case Never(_, value):
            return bool((known == value).any())
        case Between(_, low, high):
            below = low is not None and (known <= low if rule.strictly_above else known < low).any()
            return bool(below or (high is not None and (known > high).any()))


def corrupted(
    connection: duckdb.DuckDBPyConnection, suite: AuditSuite
) -> Iterator[tuple[Corruption, pd.DataFrame, Counted]]:
    """Each corruption of the suite with the frame that it leaves, and what the database counts of it."""
    for corruption in CORRUPTIONS:
        if corruption.suite == suite.name:
            connection.execute("begin transaction")
            try:
                connection.execute(corruption.sql)
                frame = connection.execute(suite.query).df()
                yield corruption, frame, count_broken(connection, suite, suite.query)
            finally:
                connection.execute("rollback")


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_no_rule_can_be_taken_out_unnoticed(good_marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    good = good_marts.execute(suite.query).df()
    assert [rule for rule in suite.rules if is_broken(rule, good, suite)] == []
    caught: set[Rule] = set()
    for corruption, frame, counted in corrupted(good_marts, suite):
        broken = [rule for rule, count in zip(suite.rules, counted.broken, strict=True) if count]
        assert broken == [rule for rule in suite.rules if is_broken(rule, frame, suite)], corruption
        named = [rule for rule in suite.rules if columns(rule, suite) == corruption.column]
        caught |= {rule for rule in named if rule.severity == corruption.severity and is_broken(rule, frame, suite)}
    assert [rule for rule in suite.rules if rule not in caught] == []
