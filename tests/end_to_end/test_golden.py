"""Nothing published has changed unintentionally: every mart against its stored fingerprint.

The runs are those that other modules look at anyway, and their days are fixed. To store new fingerprints after an
intended change, run this module with `--write-golden`, read the difference in `tests/golden/`, and commit it with its
reason. A renamed column is only a renamed entry there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.support.commands import Taker
from tests.support.demos import Demo
from tests.support.fingerprints import assert_unchanged, differences, fingerprints


@pytest.mark.xdist_group("demo")
class TestTheSimulatedArchive:
    def test_is_published_as_before(self, finished_demo: Demo, request: pytest.FixtureRequest) -> None:
        assert_unchanged(finished_demo.taker.marts, "simulated", request.config)

    @pytest.mark.parametrize("kept", [True, False], ids=["kept", "compared at once"])
    def test_a_changed_cell_and_an_exchange_of_two_are_both_noticed(
        self, finished_demo: Demo, tmp_path: Path, kept: bool
    ) -> None:
        table = "fct_net_taker_volume_daily"
        before = fingerprints(finished_demo.taker.marts, only=[table], kept=kept)
        days = "market_id = 'simulated:BTCUSDT' and bar_date in (date '2026-06-29', date '2026-06-30')"
        other = f"(select sum(volume_usd) from {table} where {days}) - volume_usd"
        edits = {
            "one more": f"set volume_usd = volume_usd + 0.00000001 where {days}",
            "exchanged": f"set volume_usd = {other} where {days}",
        }
        for name, edit in edits.items():
            changed = tmp_path / f"{name}.duckdb"
            shutil.copy(finished_demo.taker.marts, changed)
            with duckdb.connect(str(changed)) as connection:
                connection.execute(f"update {table} {edit}")
            assert differences(before, fingerprints(changed, only=[table], kept=kept)) == [
                f"{table}: {before[table].rows} rows, unchanged; other values in volume_usd"
            ]

    @pytest.mark.parametrize("kept", [True, False], ids=["kept", "compared at once"])
    def test_neither_a_renamed_column_nor_the_order_of_rows_changes_a_hash(
        self, finished_demo: Demo, tmp_path: Path, kept: bool
    ) -> None:
        table, renamed = "fct_net_taker_volume_daily", "volume_usd"
        before = fingerprints(finished_demo.taker.marts, only=[table], kept=kept)[table]
        changed = tmp_path / "renamed.duckdb"
        shutil.copy(finished_demo.taker.marts, changed)
        with duckdb.connect(str(changed)) as connection:
            connection.execute(f"create or replace table {table} as from {table} order by all desc")
            connection.execute(f"alter table {table} rename column {renamed} to dollars")
        after = fingerprints(changed, only=[table], kept=kept)[table]
        assert {("dollars" if name == renamed else name): of for name, of in before.columns.items()} == after.columns


@pytest.mark.xdist_group("real_market")
def test_the_real_market_is_published_as_before(cross_checked: Taker, request: pytest.FixtureRequest) -> None:
    assert_unchanged(cross_checked.marts, "real_mirror", request.config)
