"""The audit passes good marts and fails every single corruption of them.

The marts are built in a few statements of SQL (`good_marts.sql`), independently of dbt, with everything a good
warehouse may hold: an absent day, a missing hour, ties, days from trades and days from klines, a day within tolerance,
uncovered windows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.checks.audit import describe
from orchestration.warehouse.audit import rules
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from tests.orchestration.audit.auditing import ALL_SUITES, SUITE_BY_NAME, audit, columns
from tests.orchestration.audit.corruption import Corruption
from tests.orchestration.audit.corruptions import CORRUPTIONS

# Hundreds of audits by the same lines, which test_evidence.py and test_unknowns.py run too: the tracer would cost half
# of their CPU again.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_good_marts_pass(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    verdict = audit(marts, suite)

    assert [(r["column"], r["rule"], r["sample"]) for r in verdict.results if not r["success"]] == []
    assert verdict.success
    assert not verdict.blocking
    assert verdict.results


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
def test_a_single_corruption_fails_and_blocks_unless_it_is_the_venues(
    marts: duckdb.DuckDBPyConnection, corruption: Corruption
) -> None:
    marts.execute(corruption.sql)

    # What must not block is judged by the whole suite: nothing critical may fail along with it.
    only = corruption.column if corruption.severity == CRITICAL else None
    verdict = audit(marts, SUITE_BY_NAME[corruption.suite], only=only)

    failed = {(r["column"], r["severity"]) for r in verdict.results if not r["success"]}
    assert (corruption.column, corruption.severity) in failed
    assert not verdict.success
    assert verdict.blocking == (corruption.severity == CRITICAL)
    for found in verdict.results:
        if not found["success"]:
            assert_names_what_and_where(found, SUITE_BY_NAME[corruption.suite])


def assert_names_what_and_where(found: dict[str, Any], suite: AuditSuite) -> None:
    """What a person reads of a failed rule: the rule, and the market, day and so on of a row that breaks it."""
    message = describe([found])
    assert found["rule"] in message
    if found["column"]:  # a frame without rows has none to show
        first = found["sample"][0]
        assert [name for name in suite.key if f"{name} {first[name]}" not in message] == []


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_every_expectation_is_broken_by_some_corruption(suite: AuditSuite) -> None:
    stated = {(columns(rule, suite), rule.severity) for rule in suite.rules}
    broken = {(c.column, c.severity) for c in CORRUPTIONS if c.suite == suite.name}

    assert stated == broken


def test_suites_are_named_once_and_after_their_mart() -> None:
    assert len(SUITE_BY_NAME) == len(ALL_SUITES)
    assert all(suite.name.startswith(suite.mart) for suite in ALL_SUITES)
    assert all(suite.description for suite in ALL_SUITES)


def test_every_file_of_sql_belongs_to_a_suite() -> None:
    files = {path.name for path in Path(rules.__file__).with_name("sql").iterdir()}

    assert files == {"macros.sql", *(suite.sql for suite in ALL_SUITES)}
