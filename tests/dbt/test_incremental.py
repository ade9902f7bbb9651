"""What lies between the bars and the marts is replaced where it changed, and ends as a full refresh does."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from tests.dbt.warehouse import Warehouse
from tests.support.bar_histories import MODELS, BarHistories, build, differences, warehouse_of


@pytest.mark.parametrize("seed", [1, 2])
def test_any_history_ends_as_a_full_refresh_does(empty: Warehouse, tmp_path: Path, seed: int) -> None:
    """The long version draws hundreds of them (`tests/torture/test_incremental.py`)."""
    warehouse, histories = warehouse_of(empty, tmp_path / "kept"), BarHistories(random.Random(seed)).begin()
    histories.write(warehouse)
    build(warehouse)
    for event in histories.events:
        event(histories.rng.choice(histories.markets))
    histories.write(warehouse)
    build(warehouse)
    assert not differences(warehouse, tmp_path / "fresh")
