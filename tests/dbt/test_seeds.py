"""Seeds in a warehouse that a former release has built."""

from __future__ import annotations

import shutil
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
