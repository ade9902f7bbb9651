"""Promise 3: for each audit suite, and for each critical rule of the audit, the corruption that it exists for; then the
audit and the publication of the job that `taker run` executes. Publication is refused, the former one stands, and what
is printed names the rule, the market and the day.

Where a fault of the source, or of what is kept from one build to the next, can reach a rule, `taker run` does it all.

That every rule is found by itself, and that none can be taken out: `tests/orchestration/audit`.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from orchestration.config.settings import load_settings
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.orchestration.audit.auditing import SUITE_BY_NAME, columns
from tests.orchestration.audit.conftest import GOOD_MARTS
from tests.orchestration.audit.corruption import Corruption
from tests.orchestration.audit.corruptions import CORRUPTIONS
from tests.support.commands import Taker
from tests.support.planted import PLANTED, Audits, Published, names_row, published_simulation, standing


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    return published_simulation(tmp_path_factory.mktemp("published"))


@dataclass
class Warehouse:
    """A good warehouse with its publication; `publish` is what follows once it has been changed by some SQL."""

    path: Path
    serving: Path
    audits: Audits

    def publish(self, *statements: str) -> Published:
        """Audit and publish a copy with these changes, and take them back."""
        good = self.path.with_suffix(".good")
        shutil.copyfile(self.path, good)
        try:
            with duckdb.connect(str(self.path)) as connection:
                connection.execute("set timezone = 'UTC'")
                for statement in statements:
                    connection.execute(statement)
            return self.audits.publish()
        finally:
            good.replace(self.path)

    def standing(self) -> dict[str, bytes]:
        return standing(self.serving)


@pytest.fixture(scope="module")
def built(taker: Taker) -> Iterator[Warehouse]:
    """What `taker run` left."""
    named = {name.removeprefix("TAKER_").lower(): value for name, value in taker.environment.items()}
    settings = load_settings(storage_url=str(taker.storage), **named)
    with Audits.of(settings) as audits:
        yield Warehouse(settings.paths.warehouse, taker.marts, audits)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The marts of the audit's own tests, which hold something for every rule."""
    settings = load_settings(storage_url=str(tmp_path_factory.mktemp("good")), markets="binance_um:BTCUSDT")
    warehouse = settings.paths.warehouse
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(GOOD_MARTS.read_text())
        # What a publication records of the files that it was built from.
        for column in ("kline_interval varchar", "source_keys varchar", "source_sha256 varchar", "revision integer"):
            connection.execute(f"alter table stg_raw__receipts add column {column}")
        connection.execute("alter table stg_raw__receipts add column known_at timestamp")
    with Audits.of(settings) as audits:
        made = Warehouse(warehouse, settings.serving_path, audits)
        published = made.publish()
        assert published.published, published.printed
        yield made


def test_every_suite_has_a_corruption() -> None:
    assert {suite.name for suite in SUITES} == PLANTED.keys()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_one_corruption_of_a_suite_refuses_publication(built: Warehouse, suite: AuditSuite) -> None:
    before = built.standing()
    refused = built.publish(PLANTED[suite.name])
    assert not refused.published
    assert built.standing() == before
    assert suite.name in refused.blocked_by
    assert_names_rule_and_row(refused, suite, {rule.statement for rule in suite.rules if rule.severity == CRITICAL})


def test_the_good_warehouse_is_published_again(built: Warehouse) -> None:
    """So it was the corruptions that refused."""
    before = built.standing()
    published = built.publish()
    assert (published.published, published.blocked_by) == (True, frozenset())
    assert built.standing() != before


def rounds() -> list[list[Corruption]]:
    """Every critical corruption of the audit, in as few runs as there are corruptions of one suite."""
    of_suite: dict[str, list[Corruption]] = defaultdict(list)
    for corruption in CORRUPTIONS:
        if corruption.severity == CRITICAL and SUITE_BY_NAME[corruption.suite] in SUITES:
            of_suite[corruption.suite].append(corruption)
    most = max(map(len, of_suite.values()))
    return [[some[n] for some in of_suite.values() if n < len(some)] for n in range(most)]


def test_every_critical_rule_refuses_publication(good: Warehouse, scaled: Callable[[int], int]) -> None:
    """One corruption of each suite at a time, each on marts of its own where it would hide another's."""
    broken: set[tuple[str, str]] = set()
    runs = alone = 0
    before = good.standing()
    for together in rounds()[: scaled(len(rounds()))]:
        refused = good.publish(*(corruption.sql for corruption in together))
        runs += 1
        for corruption in together:
            found = refused
            if not names_it(refused, corruption):
                found, runs, alone = good.publish(corruption.sql), runs + 1, alone + 1
            assert not found.published, corruption
            assert corruption.suite in found.blocked_by, corruption
            assert names_it(found, corruption), f"{corruption}:\n{found.printed}"
            broken.add((corruption.suite, corruption.column))
        assert good.standing() == before
    print(f"{sum(map(len, rounds()[:runs]))} corruptions, {len(broken)} columns of rules, {runs} runs, {alone} alone")


def names_it(refused: Published, corruption: Corruption) -> bool:
    suite = SUITE_BY_NAME[corruption.suite]
    rules = {r.statement for r in suite.rules if (columns(r, suite), r.severity) == (corruption.column, CRITICAL)}
    has_rows = corruption.column != ""
    lines = blocking_lines(refused, suite)
    return any(
        f"[critical] {rule}: " in line and (not has_rows or names_row(line, suite)) for line in lines for rule in rules
    )


def blocking_lines(refused: Published, suite: AuditSuite) -> list[str]:
    return [line for line in refused.printed.splitlines() if line.startswith(f"blocked gx_{suite.name}: ")]


def assert_names_rule_and_row(refused: Published, suite: AuditSuite, statements: set[str]) -> None:
    lines = blocking_lines(refused, suite)
    named = [line for line in lines if any(f"[critical] {statement}: " in line for statement in statements)]
    assert named, refused.printed
    assert all(names_row(line, suite) for line in named), named
    assert "Traceback" not in refused.printed
