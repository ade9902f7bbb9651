"""Promise 2, the short proof: a real SIGKILL in each stage of ingestion and of publication, and the next run heals.

Hundreds of kills at random moments, and of whole runs: tests/torture/test_kills.py.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ingestion.raw.store import LocalStore
from tests.support.archives import ArchiveFolder
from tests.support.histories import DAYS, NOON, ingested, parquet_of, put_klines, put_trades, untrue_receipts
from tests.support.killing import Aim, Processes, assert_nothing_is_left, assert_one_publication, assert_raw_is_whole
from tests.support.publications import NOW, Publisher

ONE_AT_A_TIME = 16  # connections of one ingestion


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Processes:
    return Processes(tmp_path_factory.mktemp("processes"))


def test_a_kill_in_any_stage_of_ingestion_tears_nothing_and_the_next_run_heals(
    processes: Processes, archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    store, fresh = LocalStore(tmp_path / "store"), LocalStore(tmp_path / "fresh")
    for edition, aim in enumerate(
        [Aim("download", 3), Aim("decode", 2), Aim("raw write", 3), Aim("receipt", 4), Aim("index")], start=1
    ):
        for day in DAYS:
            put_trades(archive_folder, day, edition)
            put_klines(archive_folder, day, edition)
        now = NOON + timedelta(minutes=edition)
        assert processes.ingest(archive_folder.root, store.root, now, aim) == aim.stage
        assert_raw_is_whole(store, ONE_AT_A_TIME)
    outcomes = ingested(archive_folder, store, DAYS[0], DAYS[-1], NOON + timedelta(hours=1))
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    ingested(archive_folder, fresh, DAYS[0], DAYS[-1], NOON)
    assert parquet_of(store) == parquet_of(fresh)
    assert untrue_receipts(store) == []


def test_a_kill_in_any_stage_of_publication_leaves_one_publication_and_the_next_heals(
    processes: Processes, tmp_path: Path
) -> None:
    Publisher.on(tmp_path).publish_days(1)
    serving = tmp_path / "serving" / "marts.duckdb"
    for n, stage in enumerate(["copy marts", "store version", "switch", "prune"], start=2):
        now = NOW + timedelta(minutes=n)
        assert processes.publish(tmp_path, n, now, Aim(stage)) == stage
        assert_one_publication(serving, tmp_path)
    again = Publisher.on(tmp_path)
    again.now = NOW + timedelta(hours=1)
    assert again.publish_days(9).rows["fct_net_taker_volume_daily"] == 9
    assert_one_publication(serving, tmp_path)
    assert_nothing_is_left(serving)
