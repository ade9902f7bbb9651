"""Raw data that is lost, through the public command: fetched again, or not covered; and everything made of it anew."""

from __future__ import annotations

import json
import shutil
from datetime import date
from typing import Any

import pytest

from tests.end_to_end.conftest import Week

pytestmark = pytest.mark.xdist_group("week")

LOST = date(2026, 3, 8)
MARKET, RUN = Week.market, Week.run


class Lost:
    """A storage that was published whole, then without one file of liquidations, then with it again."""

    def __init__(self, week: Week) -> None:
        self.taker, folder = week.taker, week.folder
        archive = folder / "archive"
        self.whole = self.published()
        self.sound = self.taker.run("verify", "--json")

        (data,) = folder.glob(f"var/raw/liquidationSnapshot/*/*/date={LOST}/data.parquet")
        sound_bytes = data.read_bytes()
        data.unlink()
        (packed,) = archive.glob(f"**/liquidationSnapshot/BTCUSD_PERP/*{LOST}.zip")
        hidden = packed.rename(folder / "hidden.zip")
        checksum = packed.with_name(f"{packed.name}.CHECKSUM").rename(folder / "hidden.CHECKSUM")
        self.verified = self.taker.run("verify", "--json")
        self.seen = json.loads(self.taker.run("status", "--json").stdout)
        self.without = self.taker.run(*RUN, "--json")
        self.uncovered = self.published()
        self.status = json.loads(self.taker.run("status", "--json").stdout)

        hidden.rename(packed)
        checksum.rename(packed.with_name(f"{packed.name}.CHECKSUM"))
        (folder / "var" / "warehouse.duckdb").unlink()
        shutil.rmtree(folder / "var" / "serving")
        self.again = self.taker.done(*RUN)
        self.restored = self.published()
        self.is_same_file = data.read_bytes() == sound_bytes
        self.verified_again = self.taker.run("verify")

    def published(self) -> dict[str, list[Any]]:
        tables = ("fct_liquidations_daily", "fct_liquidations_hourly", "fct_net_taker_volume_daily", "dim_markets")
        return {table: self.taker.query(f"select * from {table} order by all") for table in tables}


@pytest.fixture(scope="module")
def lost(published_week: Week, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    return Lost(published_week.copied_to(tmp_path_factory.mktemp("lost")))


def day_of(rows: list[Any]) -> list[Any]:
    return [row for row in rows if LOST in row]


def test_what_is_whole_is_verified(lost: Lost) -> None:
    found = json.loads(lost.sound.stdout)
    assert (lost.sound.returncode, found["sound"]) == (0, True)
    assert found["raw"]["objects"] > 10
    assert (found["marts"]["days"], found["marts"]["not_compared"]) == (7, 0)


def test_a_lost_file_is_found_by_verify_with_what_to_do(lost: Lost) -> None:
    assert lost.verified.returncode == 1
    (fault,) = json.loads(lost.verified.stdout)["raw"]["faults"]
    assert (fault["market_id"], fault["dataset"], fault["period"]) == (MARKET, "liquidationSnapshot", str(LOST))
    assert (fault["what"], "taker run --markets" in fault["remedy"]) == ("is missing", True)


def test_a_day_that_is_lost_is_not_covered_and_never_empty(lost: Lost) -> None:
    assert lost.without.returncode == 1
    report = json.loads(lost.without.stdout)
    assert report["published"]
    assert [failed["object"] for failed in report["failed_objects"]] == [f"{MARKET} liquidationSnapshot {LOST}"]
    with_coverage = lost.taker.query(
        "select column_name from duckdb_columns() where table_name = 'fct_liquidations_daily'"
    )
    names = [name for (name,) in with_coverage]
    (before,), (after,) = (
        [dict(zip(names, row, strict=True)) for row in day_of(rows["fct_liquidations_daily"])]
        for rows in (lost.whole, lost.uncovered)
    )
    assert before["coverage_ratio"] == 1
    assert (after["coverage_ratio"], after["total_usd"], after["order_count"]) == (0, None, None)
    for status in (lost.seen, lost.status):  # before the run and after it
        (series,) = [each for each in status if each["dataset"] == "liquidationSnapshot"]
        assert (series["damaged"], series["stored"], series["absent"]) == (1, 6, 0)


def test_it_is_fetched_again_and_warehouse_and_publication_are_restored_from_raw(lost: Lost) -> None:
    assert lost.again["objects"]["stored"] == 1
    assert any("it was fetched again" in notice for notice in lost.again["notices"])
    assert lost.is_same_file
    assert lost.restored == lost.whole
    assert lost.verified_again.returncode == 0, lost.verified_again.stdout
