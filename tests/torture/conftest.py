"""The long proofs of docs/guarantees.md: `make torture`, or `pytest tests/torture/test_….py`.

Belongs here: how long they last (`--torture-scale`), from which seed their faults are drawn (`--torture-seed`). Does
not: the short versions, which `make test` runs from the folders of what they test.

No other path collects this folder (tests/conftest.py), so `make test` and `pytest` leave it out.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.support import forked
from tests.support.spark import spark_cluster as spark_cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture-seed", type=int, default=None, help="draw the same faults again (printed by each run)")
    parser.addoption("--torture-scale", type=float, default=1.0, help="0.1: a tenth of the faults; 10: ten times")


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """Printed with a failure, and with `-s` always."""
    chosen = request.config.getoption("--torture-seed")
    return random.SystemRandom().randrange(1_000_000) if chosen is None else chosen


@pytest.fixture(scope="session")
def fork_server() -> None:
    """The process that all others are forked from, with everything imported that a run needs."""
    forked.start_server()


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """One sequence per test, so that a test draws the same faults alone and among others."""
    print(f"\n--torture-seed={seed}")
    return random.Random(f"{seed}/{request.node.name}")


@pytest.fixture(scope="session")
def scaled(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How many of `count` faults this run injects, at least one."""
    scale = request.config.getoption("--torture-scale")
    return lambda count: max(1, round(count * scale))
