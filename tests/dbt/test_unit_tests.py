"""dbt's own unit tests, one pytest result each. One file per model, `_unit_tests/<model>.yml` beside it."""

from __future__ import annotations

import pytest

from tests.dbt.warehouse import PROJECT, Warehouse, read_yaml

UNIT_TESTS = sorted(
    (test["model"], test["name"])
    for path in PROJECT.rglob("models/**/_unit_tests/*.yml")
    for test in read_yaml(path)["unit_tests"]
)

pytestmark = pytest.mark.xdist_group("empty")


@pytest.fixture(scope="module")
def verdicts(empty: Warehouse) -> dict[str, str]:
    """All in one run of dbt: its start costs more than they do. Their parents must exist; empty is enough."""
    return empty.dbt("test", "--select", "test_type:unit")


@pytest.mark.parametrize(("model", "name"), UNIT_TESTS, ids=[name for _, name in UNIT_TESTS])
def test_rule(model: str, name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"unit_test.taker.{model}.{name}"] == "pass"
