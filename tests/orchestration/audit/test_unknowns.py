"""What the audit makes of missing rows, missing columns and unknown outcomes."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from orchestration.warehouse.audit import gx
from orchestration.warehouse.audit.broken import AuditNotEvaluated
from orchestration.warehouse.audit.rules import AuditSuite, Holds, Zero
from tests.orchestration.audit.auditing import ALL_SUITES, SUITE_BY_NAME, audit, columns
from tests.orchestration.audit.corruption import (
    BRIEF,
    CLAIMS,
    CONTEXT,
    CONTRADICTIONS,
    DAILY,
    DOMINANCE,
    FUNDINGS,
    HISTORY,
    HOURLY,
    LIQUIDATIONS,
    LIQUIDATIONS_HOURLY,
    LIQUIDATIONS_ROLLING,
    MINUTE,
    OPEN_INTEREST_DAILY,
    OPEN_INTEREST_HOURLY,
    PROFILE,
    RANKS,
    RATIOS,
    RECONCILIATION,
    RETURNS,
    SCREEN,
    STUDY,
)


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_a_missing_column_is_an_error_and_not_a_verdict(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    column = columns(suite.rules[-1], suite).split(", ")[-1]
    frame = f"select * exclude ({column}) from ({suite.query}) as frame"

    with pytest.raises(AuditNotEvaluated, match=column):
        gx.audit(marts, suite, frame)


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_marts_without_rows_are_judged(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    """A warehouse that holds liquidations only, or nothing: the suites answer, and only required marts fail."""
    for table in (
        HOURLY,
        DAILY,
        DOMINANCE,
        MINUTE,
        RANKS,
        RECONCILIATION,
        CONTRADICTIONS,
        LIQUIDATIONS,
        LIQUIDATIONS_HOURLY,
        LIQUIDATIONS_ROLLING,
        "dim_markets",
        "stg_raw__receipts",
        "int_flow_receipts",
        "dim_claims",
        CLAIMS,
        OPEN_INTEREST_HOURLY,
        OPEN_INTEREST_DAILY,
        RATIOS,
        FUNDINGS,
        RETURNS,
        CONTEXT,
        STUDY,
        BRIEF,
        SCREEN,
        PROFILE,
        HISTORY,
    ):
        marts.execute(f"delete from {table}")

    assert audit(marts, suite).success == (suite.name not in (DAILY, "dim_markets"))


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_a_rule_whose_outcome_is_unknown_is_broken(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    decided = replace(suite, rules=tuple(rule for rule in suite.rules if isinstance(rule, Holds | Zero)))
    names = sorted({rule.column for rule in decided.rules if isinstance(rule, Holds | Zero)})
    unknown = ", ".join(f"case when number > 1 then {name} end as {name}" for name in names)
    frame = (
        f"select * exclude (number) replace ({unknown}) "
        f"from (select *, row_number() over () as number from ({suite.query}) as frame limit 2) as numbered"
    )

    if decided.rules and marts.execute(f"from ({suite.query}) as frame").fetchone():
        verdict = gx.audit(marts, decided, frame)
        assert [r["column"] for r in verdict.results if r["success"] or r["unexpected_count"] != 1] == []


def test_the_only_bar_of_a_window_has_a_rank_and_no_percentile(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"delete from {RANKS} where definition_id <> 'daily_usd';"
        f"update spike_definitions set window_days = 1;"
        f"update {RANKS} set spike_rank = 1, event_rank = case when is_event then 1 end, window_bars = 1,"
        " percentile = null, coverage_ratio = 1, bar_coverage_ratio = 1, set_changed_at = null, unranked_reason = null"
    )

    assert audit(marts, SUITE_BY_NAME[RANKS]).success
