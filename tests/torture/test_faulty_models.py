"""Promise 3, the whole way: a release whose model is wrong, then `taker run`. The build or the audit refuses, the
former publication stands to the byte, and what is printed names the rule and the row.

The rules of the suites guard what this warehouse computes itself. No file of a source can break them: one that would
is refused when it is ingested, or its time is uncovered (`tests/end_to_end/test_contradicted_flow.py`). A faulty model
can. It is given to the command as an upgrade would be: a checkout with another text of one model, on a state folder
that a good one has published.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.support.commands import ROOT, Taker
from tests.support.planted import PLANTED, RUN, names_row, published_simulation, standing

# `update mart …`, `delete from mart …`, `insert into mart …`
MART = re.compile(r"(?:update|delete from|insert into) (\w+)")

# Faults that a rule of dbt refuses before the audit begins, with what is printed of the rule and its row.
REFUSED_BY_DBT = {
    "dim_markets": "contract_type is one of linear, inverse, aggregate: market_id simulated:BTCUSDT has quanto",
    "dim_markets_references": "market_id is in dim_markets: market_id simulated:BTCUSDT, bar_date 2026-02-20 has",
    "fct_net_taker_volume_hourly_sums": "market_id is in dim_markets: market_id simulated_all:BTC, bar_at 2026-",
    "fct_net_taker_volume_daily_sums": "market_id is in dim_markets: market_id simulated_all:BTC, bar_date 2026-",
    "fct_flow_reconciliation_daily": "market_id simulated:BTCUSDT, bar_date 2026-03-01 has fine",
    "fct_flow_reconciliation_daily_rows": "market_id simulated:BTCUSDT, kline_interval 1h, bar_date 2026-02-20 has 2",
    "fct_claim_verdicts": "unique claim_id, definition_id: claim_id news-2026-02-03-largest-in-october, definition_id ",
    "agg_spike_event_study": "market_id simulated:BTCUSDT, side bearish, horizon_days 1 has 2 rows",
    "rpt_market_brief_daily": "unique market_id, bar_date: market_id simulated:BTCUSDT, bar_date 2026-02-20 has 2",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """What the good models have published."""
    return published_simulation(tmp_path_factory.mktemp("faulty_models"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with what dbt has parsed of it."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("ingestion", "orchestration", "dbt_project"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "logs"))
    return root


@pytest.fixture
def state(published: Taker, tmp_path: Path) -> Taker:
    """A state folder of the test's own, as the good models left it."""
    shutil.copytree(published.storage, tmp_path / "var")
    return Taker(tmp_path / "var", published.environment)


@contextmanager
def with_hook(checkout: Path, statement: str) -> Iterator[None]:
    """The model that the statement changes runs it after itself, until the block ends."""
    found = MART.match(statement)
    assert found is not None
    (path,) = (checkout / "dbt_project/models").rglob(f"{found[1]}.sql")
    good = path.read_text()
    path.write_text(f'{{{{ config(post_hook="{statement}") }}}}\n{good}')
    try:
        yield
    finally:
        path.write_text(good)


def test_another_text_of_a_model_that_is_right_is_published(state: Taker, checkout: Path) -> None:
    """So it is the fault that is refused below, not the change."""
    before = standing(state.marts)
    with with_hook(checkout, "update fct_taker_dominance_daily set market_id = market_id"):
        done = run_from(checkout, state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert standing(state.marts) != before


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_faulty_model_is_not_published(suite: AuditSuite, state: Taker, checkout: Path) -> None:
    before = standing(state.marts)
    with with_hook(checkout, PLANTED[suite.name]):
        done = run_from(checkout, state)
    printed = done.stdout + done.stderr
    assert done.returncode != 0, printed
    assert standing(state.marts) == before
    assert "Traceback" not in printed
    blocked = [line for line in printed.splitlines() if line.startswith("blocked ")]
    if suite.name in REFUSED_BY_DBT:
        assert any(REFUSED_BY_DBT[suite.name] in line for line in blocked), printed
    else:
        named = [line for line in blocked if names_a_rule(line, suite)]
        assert named, printed
        assert all(names_row(line, suite) for line in named), named


def names_a_rule(line: str, suite: AuditSuite) -> bool:
    """The line is about a critical rule of this suite."""
    rules = (rule.statement for rule in suite.rules if rule.severity == CRITICAL)
    return any(line.startswith(f"blocked gx_{suite.name}: [critical] {rule}: ") for rule in rules)


def run_from(checkout: Path, taker: Taker) -> subprocess.CompletedProcess[str]:
    """`taker run` of another checkout, on this state folder."""
    return taker.started("orchestration.cli", *RUN, cwd=checkout)
