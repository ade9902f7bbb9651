"""Promise 4: processes that ingest the same days at once, whole runs at once, and readers of a publication that is
being replaced."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb

from ingestion.raw.store import LocalStore
from ingestion.simulator.simulated import simulate
from tests.support.archives import ArchiveFolder
from tests.support.commands import Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.histories import DAYS, NOON, ingested, parquet_of, put_klines, put_trades, untrue_receipts
from tests.support.killing import assert_one_publication, torn_objects
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


FIRST, LAST = date(2026, 3, 8), date(2026, 3, 10)
# In which order two runs have published is open, and so are the ranks that the second one has revised.
_ORDERED = {"fct_spike_rank_revisions"}


def read_publications(serving: Path, is_over: Event, reads: Any) -> None:
    """Each read is of one whole publication, from the first one on."""
    seen: set[str] = set()
    while not is_over.is_set() or not seen:
        if serving.exists():
            with duckdb.connect(str(serving), read_only=True) as connection:
                ((run_id,),) = connection.execute("select run_id from publication").fetchall()
                stated = dict(connection.execute("select table_name, row_count from publication_tables").fetchall())
                held = {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in stated}
            assert held == stated
            seen.add(run_id)
            with reads.get_lock():
                reads.value += 1
        time.sleep(0.5)


def test_two_whole_runs_and_ten_readers_at_once(fork_server: None, tmp_path: Path) -> None:
    simulate(tmp_path / "archive", last_day=LAST, days=8, trades_days=7, rows_per_day=240)
    settings = {"TAKER_ARCHIVE_URL": (tmp_path / "archive").as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
    together, serial = Taker(tmp_path / "together", settings), Taker(tmp_path / "serial", settings)
    ranges = [(FIRST, LAST - timedelta(days=1)), (FIRST + timedelta(days=1), LAST)]
    is_over, reads = _FORKS.Event(), _FORKS.Value("i", 0)
    readers = [_FORKS.Process(target=read_publications, args=(together.marts, is_over, reads)) for _ in range(_READERS)]
    for reader in readers:
        reader.start()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(together.run, "run", "-q", "--from", str(a), "--to", str(b)) for a, b in ranges]
        done = [run.result() for run in runs]
    is_over.set()
    assert ended_well(readers)
    print(f"{reads.value} reads; {[one.stderr for one in done]}")
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert any("waiting since" in one.stderr and "`taker run` (process" in one.stderr for one in done)
    for first, last in ranges:
        serial.done("run", "--from", str(first), "--to", str(last))
    assert parquet_of(LocalStore(together.storage)) == parquet_of(LocalStore(serial.storage))
    one, other = (
        {name: table for name, table in fingerprints(taker.marts).items() if name not in _ORDERED}
        for taker in (serial, together)
    )
    assert differences(one, other) == []
    assert_one_publication(together.marts, together.storage)
