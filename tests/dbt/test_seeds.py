"""Seeds in a warehouse that a former release has built."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.dbt.warehouse import Warehouse


@pytest.mark.xdist_group("empty")
def test_a_release_may_add_a_column_to_a_seed(empty: Warehouse, tmp_path: Path) -> None:
    """The former table cannot take the rows of the new file."""
    shutil.copytree(empty.folder, tmp_path / "former")
    warehouse = Warehouse(tmp_path / "former", empty.raw_url)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("alter table spike_definitions drop column definition_name")
    warehouse.dbt("seed")
    assert warehouse.rows("select definition_name from spike_definitions where definition_id = '4h_usd'") == [
        ("4-hour bars, USD",)
    ]


@pytest.mark.xdist_group("empty")
def test_claims_of_one_s_own_stand_beside_those_of_the_project_until_they_are_taken_away(
    empty: Warehouse, tmp_path: Path
) -> None:
    claim = {
        "claim_id": "mine",
        "source": "Today's letter",
        "published_on": "",
        "market_id": "v:S",
        "event_from": "2026-01-31",
        "event_to": "2026-01-31",
        "side": "bearish",
        "claimed_rank": "3",
        "window_days": "730",
        "note": 'It\'s "third" -- or is it?',
    }
    shutil.copytree(empty.folder, tmp_path / "own")
    warehouse = Warehouse(tmp_path / "own", empty.raw_url, own_claims=(claim,))
    project = warehouse.rows("select count(*) from claims")
    warehouse.dbt("seed", "--select", "claims")
    assert warehouse.rows("select * from claims where claim_id = 'mine'") == [
        ("mine", "Today's letter", None, "v:S", date(2026, 1, 31), date(2026, 1, 31), "bearish", 3, 730, claim["note"])
    ]
    replace(warehouse, own_claims=()).dbt("seed", "--select", "claims")
    assert warehouse.rows("select count(*) from claims") == project
