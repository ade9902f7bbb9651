"""Promise 2, the long proof: SIGKILL at random moments of every stage. `-s` prints the seed and how many fell where.

The first two tests kill small processes that ingest or publish, which cost some milliseconds each; the last kills
`taker run` itself, and only it: a dbt that it started stays, as it would for a user.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from ingestion.raw.store import LocalStore
from ingestion.simulator.simulated import simulate
from tests.support.archives import ArchiveFolder
from tests.support.commands import ROOT, Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.histories import DAYS, NOON, ingested, parquet_of, put_klines, put_trades, untrue_receipts
from tests.support.killing import (
    INGESTING,
    PUBLISHING,
    RUNNING,
    Aim,
    Processes,
    assert_one_publication,
    assert_raw_is_whole,
)
from tests.support.publications import NOW, Publisher

_IN_FLIGHT = 16
_HEAL_EVERY = 8


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Processes:
    return Processes(tmp_path_factory.mktemp("processes"))


def aimed(rng: random.Random, stages: tuple[str, ...], times: int) -> tuple[Aim | None, float | None]:
    """Half of the kills at or shortly after the begin of a stage, half at any moment."""
    if rng.random() < 0.5:
        return Aim(rng.choice(stages), rng.randint(1, times), rng.choice((0.0, rng.uniform(0, 0.02)))), None
    return None, rng.uniform(0.0, 0.25)


def test_ingestion(
    processes: Processes,
    archive_folder: ArchiveFolder,
    tmp_path: Path,
    rng: random.Random,
    scaled: Callable[[int], int],
) -> None:
    store, fell, edition = LocalStore(tmp_path / "store"), Counter[str](), 0
    editions: dict[date, int] = {}
    kills = scaled(150)
    while fell.total() < kills:
        for day in rng.sample(DAYS, rng.randint(1, len(DAYS))):
            edition += 1
            editions[day] = edition
            put_trades(archive_folder, day, edition)
            put_klines(archive_folder, day, edition)
        aim, after = aimed(rng, INGESTING, 4)
        stage = processes.ingest(archive_folder.root, store.root, NOON + timedelta(minutes=edition), aim, after)
        fell.update([stage] if stage else [])
        assert_raw_is_whole(store, _IN_FLIGHT)
        if rng.random() < 1 / _HEAL_EVERY:
            _assert_heals(archive_folder, store, tmp_path / f"fresh{edition}", edition)
    _assert_heals(archive_folder, store, tmp_path / "fresh", edition)
    print(f"kills of ingestion by stage: {dict(fell)}")


def _assert_heals(archive: ArchiveFolder, store: LocalStore, fresh: Path, edition: int) -> None:
    outcomes = ingested(archive, store, DAYS[0], DAYS[-1], NOON + timedelta(minutes=edition, seconds=30))
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    ingested(archive, LocalStore(fresh), DAYS[0], DAYS[-1], NOON)
    assert parquet_of(store) == parquet_of(LocalStore(fresh))
    assert untrue_receipts(store) == []


def test_publication(processes: Processes, tmp_path: Path, rng: random.Random, scaled: Callable[[int], int]) -> None:
    Publisher.on(tmp_path).publish_days(1)
    serving, fell, started = tmp_path / "serving" / "marts.duckdb", Counter[str](), 0
    kills = scaled(100)
    while fell.total() < kills:
        started += 1
        aim, after = aimed(rng, PUBLISHING, 1)
        stage = processes.publish(tmp_path, 1 + started % 50, NOW + timedelta(minutes=started), aim, after)
        fell.update([stage] if stage else [])
        assert_one_publication(serving, tmp_path)
    again = Publisher.on(tmp_path)
    again.now = NOW + timedelta(days=1)
    assert again.publish_days(9).rows["fct_net_taker_volume_daily"] == 9
    assert [path.name for path in serving.parent.glob(".*")] == []
    print(f"kills of publication by stage: {dict(fell)}")


FIRST, LAST = date(2026, 2, 20), date(2026, 3, 10)
_RUN = ("run", "--from", str(FIRST), "--to", str(LAST))


def test_whole_runs(tmp_path: Path, rng: random.Random, scaled: Callable[[int], int]) -> None:
    archive = tmp_path / "archive"
    simulate(archive, last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    settings = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
    killed, undisturbed = Taker(tmp_path / "killed", settings), Taker(tmp_path / "undisturbed", settings)
    undisturbed.done(*_RUN)
    fell: Counter[str] = Counter()
    stages = list(RUNNING)
    rng.shuffle(stages)
    for n in range(scaled(2 * len(RUNNING))):
        stage = stages[n % len(stages)]
        # dbt and the audit last for seconds, everything else for milliseconds.
        longest = 15.0 if stage == "dbt build" else 4.0 if stage == "audit" else 0.05
        aim = Aim(stage, 1, rng.choice((0.0, rng.uniform(0, longest))))
        fell.update([_killed_run(killed, aim, tmp_path / "stage")])
        assert_raw_is_whole(LocalStore(killed.storage), _IN_FLIGHT)
        if killed.marts.exists():
            assert_one_publication(killed.marts, killed.storage)
    started = time.monotonic()
    healed = killed.run(*_RUN)
    print(f"kills of whole runs by stage: {dict(fell)}; the next run took {time.monotonic() - started:.0f} s")
    assert healed.returncode == 0, healed.stderr
    assert parquet_of(LocalStore(killed.storage)) == parquet_of(LocalStore(undisturbed.storage))
    assert differences(fingerprints(undisturbed.marts), fingerprints(killed.marts)) == []
    assert_one_publication(killed.marts, killed.storage)


def _killed_run(taker: Taker, aim: Aim, log: Path) -> str:
    """The stage that the run was in when it was killed; how it ended where it ended before."""
    log.write_text("start")
    command = [sys.executable, "-m", "tests.support.killing", str(log), aim.stage, str(aim.nth), str(aim.delay), *_RUN]
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAKER_", "AWS_", "DAGSTER_"))}
    environment = outside | {"TAKER_STORAGE_URL": str(taker.storage)} | taker.environment
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, start_new_session=True
    )
    if done.returncode != -signal.SIGKILL:
        print(f"{aim}: ended with {done.returncode}: {done.stderr[-600:]}")
        return f"ended with {done.returncode}"
    return log.read_text()
