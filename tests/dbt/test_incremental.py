"""What lies between the bars and the marts is replaced where it changed, and ends as a full refresh does."""

from __future__ import annotations

import random
import re
import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.warehouse.opening import FORMER_TABLES, KEPT_TABLES
from tests.dbt.warehouse import PROJECT, Warehouse
from tests.support.bar_histories import LONG, MODELS, BarHistories, differing

pytestmark = pytest.mark.xdist_group("empty")

# Of these the build window of the receipts decides, and `int_built_receipts` is the note (tests/dbt/test_builds.py).
OF_THE_BUILD_WINDOW = {"int_trade_minutes", "int_flow_bars", "int_archive_bars", "fct_net_taker_volume_minute"}


def test_whatever_happens_to_the_bars_every_table_ends_as_a_full_refresh_makes_it(
    empty: Warehouse, tmp_path: Path
) -> None:
    """Corrections, late and withdrawn days, new markets, other sums and definitions, and a build that died.

    The long version draws hundreds of histories (`tests/torture/test_incremental.py`).
    """
    assert not differing(tmp_path, empty, seed="3", steps=2, events_per_step=0)


def test_a_build_tests_the_rows_that_it_replaces_and_dbt_test_all_of_them(empty: Warehouse, tmp_path: Path) -> None:
    judged, rule = ("int_source_days", "int_judged_days", "int_flow_klines"), "rules_of_int_flow_klines"
    shutil.copytree(empty.folder, tmp_path / "kept")
    kept = Warehouse(tmp_path / "kept", empty.raw_url)
    histories = BarHistories(random.Random("rows")).begin()
    histories.write(kept.path)
    kept.dbt("run", "--select", *MODELS)
    copied = "insert into {0} select * from {0} where source = 'klines' and bar_at = (select {1}(bar_at) from {0})"

    with duckdb.connect(str(kept.path)) as connection:
        connection.execute(copied.format("int_flow_klines", "min"))
    kept.dbt("build", "--select", *judged)
    with pytest.raises(AssertionError, match=rule):
        kept.dbt("test", "--select", rule)

    histories.add_day(LONG, histories.days(LONG)[-1] + timedelta(days=1))
    histories.write(kept.path)
    with duckdb.connect(str(kept.path)) as connection:
        connection.execute(copied.format("int_flow_bars", "max"))
    with pytest.raises(AssertionError, match=rule):
        kept.dbt("build", "--select", *judged)


def test_a_table_of_which_rows_are_kept_is_noted_tried_and_read_before_it_is_relied_on() -> None:
    texts = {path.stem: path.read_text() for path in (PROJECT / "models").rglob("*.sql")}
    kept = {name for name, text in texts.items() if re.search(r"materialized='(changed_rows|incremental)'", text)}
    assert kept | {"int_built_days"} == set(KEPT_TABLES)
    assert kept - OF_THE_BUILD_WINDOW == kept & set(MODELS)
    assert all(f"'{name}'" in texts["int_built_days"] for name in kept - OF_THE_BUILD_WINDOW)


def test_whatever_is_read_of_the_last_build_is_tried_before_a_build_relies_on_it() -> None:
    """A table that cannot be read ends a build; tried before, the whole file is set aside and made anew."""
    texts = {path.stem: path.read_text() for path in (PROJECT / "models").rglob("*.sql")}
    macros = " ".join(path.read_text() for path in (PROJECT / "macros").glob("*.sql"))
    of_themselves = {name for name, text in texts.items() if re.search(r"compared_days\(|adapter.get_relation\(", text)}
    assert {*FORMER_TABLES} == of_themselves | {*re.findall(r"former_rows\('(\w+)'", macros)}
