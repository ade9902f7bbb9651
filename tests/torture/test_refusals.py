"""Promise 3, the complete pipeline: for each audit suite a corruption in the warehouse, after the build and before the
audit. Publication is refused, the former one stands, and the message names the rule, the market and the day.

That every single rule is found, and names its row: `tests/orchestration/audit`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ingestion.simulator.simulated import simulate
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.support.commands import ROOT, Taker
from tests.support.planted import PLANTED

FIRST, LAST = date(2026, 2, 20), date(2026, 3, 10)
_RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    folder = tmp_path_factory.mktemp("published")
    simulate(folder / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    settings = {"TAKER_ARCHIVE_URL": (folder / "archive").as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
    taker = Taker(folder / "var", settings)
    done = taker.run(*_RUN)
    assert done.returncode == 0, done.stderr
    return taker


def test_every_suite_has_a_corruption() -> None:
    assert {suite.name for suite in SUITES} == PLANTED.keys()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_corruption_refuses_publication_and_the_former_one_stands(published: Taker, suite: AuditSuite) -> None:
    before = published.marts.read_bytes(), (published.storage / "serving" / "latest.json").read_bytes()
    refused = run_planted(published, suite)
    print(f"{suite.name}: exit {refused.returncode}\n{refused.stderr}")
    assert refused.returncode == 1
    assert "the former publication stands" in refused.stderr
    assert (published.marts.read_bytes(), (published.storage / "serving" / "latest.json").read_bytes()) == before
    about = [line for line in refused.stderr.splitlines() if f"gx_{suite.name}" in line or "[critical]" in line]
    assert any(rule.statement in refused.stderr for rule in suite.rules if rule.severity == "critical"), about
    for name in suite.key:
        assert f'"{name}": ' in refused.stderr, about
    assert "Traceback" not in refused.stderr


def test_the_run_after_a_refusal_publishes_again(published: Taker) -> None:
    """What is built completely heals with the next build."""
    done = published.run(*_RUN)
    assert done.returncode == 0, done.stderr


def run_planted(taker: Taker, suite: AuditSuite) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAKER_", "AWS_", "DAGSTER_"))}
    environment = outside | {"TAKER_STORAGE_URL": str(Path(taker.storage))} | taker.environment
    return subprocess.run(
        [sys.executable, "-m", "tests.support.planted", suite.name, *_RUN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
