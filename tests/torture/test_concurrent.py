"""Promise 4: processes that ingest the same days at once, and readers of a publication that is being
replaced."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable
from datetime import date, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb

from ingestion.raw.store import LocalStore
from tests.support.archives import ArchiveFolder
from tests.support.histories import DAYS, NOON, ingested, parquet_of, put_klines, put_trades, untrue_receipts
from tests.support.killing import torn_objects
from tests.support.publications import Publisher

_FORKS = multiprocessing.get_context("forkserver")
_READERS, _PUBLICATIONS = 10, 3


def ingest_days(archive: Path, store: Path, first: date, last: date) -> None:
    outcomes = ingested(ArchiveFolder(archive), LocalStore(store), first, last, NOON + timedelta(minutes=1))
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []


def read_until(serving: Path, is_over: Event, is_ready: Any) -> None:
    """Every publication of n days reports so itself: a mixture would not add up."""
    is_ready.release()
    reads = 0
    while not is_over.is_set() or not reads:
        with duckdb.connect(str(serving), read_only=True) as connection:
            stated = connection.execute(
                "select row_count from publication_tables where table_name = 'fct_net_taker_volume_daily'"
            ).fetchone()
            days = connection.execute("select count(*) from fct_net_taker_volume_daily").fetchone()
            first_to_last = connection.execute("select last_day - first_day + 1 from publication").fetchone()
        assert stated == days == first_to_last
        reads += 1
        time.sleep(0.05)


def ended_well(processes: Iterable[Any]) -> bool:
    for process in processes:
        process.join(120)
    return all(process.exitcode == 0 for process in processes)


def test_processes_that_ingest_overlapping_days_end_as_one_after_the_other_would(
    archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    for day in DAYS:
        put_trades(archive_folder, day, 1)
        put_klines(archive_folder, day, 1)
    store, serial = LocalStore(tmp_path / "store"), LocalStore(tmp_path / "serial")
    ranges = [(DAYS[0], DAYS[2]), (DAYS[1], DAYS[3]), (DAYS[0], DAYS[3])]
    processes = [
        _FORKS.Process(target=ingest_days, args=(archive_folder.root, store.root, first, last))
        for first, last in ranges
    ]
    for process in processes:
        process.start()
    assert ended_well(processes)
    ingested(archive_folder, store, DAYS[0], DAYS[-1], NOON)
    for first, last in ranges:
        ingested(archive_folder, serial, first, last, NOON)
    assert parquet_of(store) == parquet_of(serial)
    assert torn_objects(store) == untrue_receipts(store) == []


def test_ten_readers_see_whole_publications_and_hold_up_none(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    publisher.publish_days(1)
    is_over, is_ready = _FORKS.Event(), _FORKS.Semaphore(0)
    readers = [_FORKS.Process(target=read_until, args=(publisher.serving, is_over, is_ready)) for _ in range(_READERS)]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert is_ready.acquire(timeout=120)
    for days in range(2, 2 + _PUBLICATIONS):
        publisher.publish_days(days)
    is_over.set()
    assert ended_well(readers)
