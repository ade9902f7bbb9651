"""Raw data through the public command that is lost: fetched again, or not covered; and everything made of it anew.

The receipts of the same storage have a former name at first: they are read as they are, and renamed by the first run.
And a file that the archive announces anew, and does not have, leaves what is stored of it in use.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from tests.end_to_end.conftest import Week
from tests.support.former_receipts import as_formerly

pytestmark = pytest.mark.xdist_group("week")

LOST = date(2026, 3, 8)
MARKET, RUN = Week.market, Week.run


class Lost:
    """A storage that was published whole, then without one file of liquidations, then with it again."""

    read = (("status",), ("verify",), ("status", "--defects"))

    def __init__(self, week: Week) -> None:
        self.taker, folder = week.taker, week.folder
        self.whole, self.history = self.published(), recorded(folder / "var")
        self.sound = self.taker.run("verify", "--json")
        self.answers = self.answered()
        as_formerly(RawZone(open_store(folder / "var")))
        self.former_names, self.former_answers, self.read_names = receipts(folder), self.answered(), receipts(folder)

        (data,) = folder.glob(f"var/raw/liquidationSnapshot/*/*/date={LOST}/data.parquet")
        sound_bytes = data.read_bytes()
        data.unlink()
        lost = Withheld(folder / "archive", "liquidationSnapshot", LOST)
        announced = Withheld(folder / "archive", "metrics", LOST)
        announced.announce()
        self.verified = self.taker.run("verify", "--json")
        self.seen = json.loads(self.taker.run("status", "--json").stdout)
        self.without = self.taker.run(*RUN, "--json")
        self.uncovered, self.recorded, self.names = self.published(), recorded(folder / "var"), receipts(folder)
        self.status = json.loads(self.taker.run("status", "--json").stdout)

        lost.restore()
        announced.restore()
        (folder / "var" / "warehouse.duckdb").unlink()
        shutil.rmtree(folder / "var" / "serving")
        self.again = self.taker.done(*RUN)
        self.restored = self.published()
        self.is_same_file = data.read_bytes() == sound_bytes
        self.answers_again = self.answered()
        self.once_more = self.taker.done(*RUN)

    def answered(self) -> list[Any]:
        return [self.taker.done(*command) for command in self.read]

    def published(self) -> dict[str, list[Any]]:
        tables = ("fct_liquidations_daily", "fct_liquidations_hourly", "fct_net_taker_volume_daily", "dim_markets")
        return {table: self.taker.query(f"select * from {table} order by all") for table in tables}


class Withheld:
    """A file that the archive no longer has, nor its checksum, until it is restored."""

    def __init__(self, archive: Path, dataset: str, day: date) -> None:
        (self.path,) = archive.glob(f"**/{dataset}/BTCUSD_PERP/*{day}.zip")
        self.checksum = self.path.with_name(f"{self.path.name}.CHECKSUM")
        self.contents = {path: path.read_bytes() for path in (self.path, self.checksum)}
        for path in self.contents:
            path.unlink()

    def announce(self) -> None:
        """Of another file, which is not there either."""
        self.checksum.write_text(f"{'0' * 64}  {self.path.name}\n")

    def restore(self) -> None:
        for path, content in self.contents.items():
            path.write_bytes(content)


def receipts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("var/raw/**/*receipt.json"))


def recorded(var: Path) -> list[tuple[str, str]]:
    """The dataset and the day or month of each partition of the archive that Dagster's history has a record of."""
    with contextlib.closing(sqlite3.connect(var / "dagster" / "history" / "runs" / "index.db")) as history:
        found = history.execute(
            "select asset_key, partition from event_logs "
            "where dagster_event_type = 'ASSET_MATERIALIZATION' and partition is not null order by 1, 2"
        ).fetchall()
    return [(json.loads(key)[-1], partition) for key, partition in found]


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
    assert json.loads(lost.without.stdout)["published"]
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


def test_files_that_cannot_be_fetched_are_listed_the_rest_is_published_and_the_exit_code_is_1(lost: Lost) -> None:
    assert lost.without.returncode == 1
    facts = json.loads(lost.without.stdout)
    assert sorted(failed["object"] for failed in facts["failed_objects"]) == [
        f"{MARKET} liquidationSnapshot {LOST}",
        f"{MARKET} metrics {LOST}",
    ]
    assert "published, but 2" in lost.without.stderr
    # One run for the day that differs, in which nothing was stored, and one that builds.
    assert len(facts["run_ids"]) == 2
    assert lost.recorded == lost.history
    # What was published is what was built from what is stored of the announced day.
    assert lost.uncovered["fct_net_taker_volume_daily"] == lost.whole["fct_net_taker_volume_daily"]


def test_receipts_of_a_former_name_are_read_as_they_are_and_renamed_by_the_next_run(lost: Lost) -> None:
    assert set(lost.former_names) == {"receipt.json"}
    assert lost.former_answers == lost.answers
    assert lost.read_names == lost.former_names
    notices = json.loads(lost.without.stdout)["notices"]
    (notice,) = [notice for notice in notices if "receipts were renamed" in notice]
    assert notice.startswith(f"{len(lost.former_names)} receipts were renamed from receipt.json to _receipt.json")
    assert lost.names == ["_receipt.json"] * len(lost.former_names)
    assert lost.answers_again == lost.answers
    assert (lost.once_more["notices"], lost.once_more["up_to_date"]) == ([], True)


def test_it_is_fetched_again_and_warehouse_and_publication_are_restored_from_raw(lost: Lost) -> None:
    assert lost.again["objects"]["stored"] == 1
    assert any("it was fetched again" in notice for notice in lost.again["notices"])
    assert lost.is_same_file
    assert lost.restored == lost.whole
