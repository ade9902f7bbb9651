"""Promise 3, the whole way: a release whose model is wrong, then `taker run`. The build or the audit refuses, the
former publication stands to the byte, and what is printed names the rule and the row.

The rules of the suites guard what this warehouse computes itself. No file of a source can break them: one that would
is refused when it is ingested, or its time is uncovered (`tests/end_to_end/test_contradicted_flow.py`). A faulty model
can. It is given to the command as an upgrade would be: a checkout with another text of one model, on a state folder
that a good one has published.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ingestion.simulator.simulated import simulate
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.support.commands import ROOT, Taker
from tests.support.planted import PLANTED

FIRST, LAST = date(2026, 2, 20), date(2026, 3, 10)
MARKET = "simulated:BTCUSDT"
RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST))
# `update mart …`, `delete from mart …`, `insert into mart …`
MART = re.compile(r"(?:update|delete from|insert into) (\w+)")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """What the good models have published."""
    folder = tmp_path_factory.mktemp("faulty_models")
    simulate(folder / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    settings = {"TAKER_ARCHIVE_URL": (folder / "archive").as_uri(), "TAKER_MARKETS": MARKET}
    taker = Taker(folder / "var", settings)
    done = taker.run(*RUN)
    assert done.returncode == 0, done.stderr
    return taker


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


@pytest.fixture
def model(checkout: Path, suite: AuditSuite) -> Iterator[str]:
    """The model that is wrong until the test ends."""
    statement = PLANTED[suite.name]
    found = MART.match(statement)
    assert found is not None
    (path,) = (checkout / "dbt_project/models").rglob(f"{found[1]}.sql")
    good = path.read_text()
    path.write_text(f'{{{{ config(post_hook="{statement}") }}}}\n{good}')
    try:
        yield found[1]
    finally:
        path.write_text(good)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_faulty_model_is_not_published(suite: AuditSuite, model: str, state: Taker, checkout: Path) -> None:
    before = standing(state)
    done = run_from(checkout, state)
    printed = done.stdout + done.stderr
    assert done.returncode != 0, printed
    assert standing(state) == before
    assert "Traceback" not in printed
    rules = {rule.statement for rule in suite.rules if rule.severity == CRITICAL}
    of_audit = [line for line in printed.splitlines() if f"gx_{suite.name}: " in line]
    of_build = [line for line in printed.splitlines() if f"rules_of_{model}" in line or f"{model}:" in line]
    print(f"{suite.name}: {'audit' if of_audit else 'build'}")
    assert any(rule in line for rule in rules for line in of_audit) or of_build, printed


def run_from(checkout: Path, taker: Taker) -> subprocess.CompletedProcess[str]:
    """`taker run` of another checkout, on this state folder."""
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAKER_", "AWS_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *RUN],
        cwd=checkout,
        env=outside | {"TAKER_STORAGE_URL": str(taker.storage), "PYTHONPATH": str(checkout)} | taker.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def standing(taker: Taker) -> dict[str, bytes]:
    """What readers see."""
    serving = taker.marts.parent
    return {path.name: path.read_bytes() for path in (taker.marts, serving / "latest.json")}
