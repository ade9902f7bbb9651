"""Promise 2, the long proof: SIGKILL at random moments of every stage. `-s` prints the seed and how many fell where.

The first two tests kill small processes that ingest or publish, which cost some milliseconds each; the last kills
`taker run` itself.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from ingestion.raw.store import LocalStore
from ingestion.simulator.simulated import publish_correction, simulate
from orchestration.warehouse.audit.suites import SUITES
from tests.support.archives import ArchiveFolder
from tests.support.commands import Taker
from tests.support.fingerprints import TableFingerprint, differences, fingerprints
from tests.support.histories import DAYS, NOON, ingested, parquet_of, put_klines, put_trades, untrue_receipts
from tests.support.killing import (
    DBT_ALONE,
    INGESTING,
    NODE,
    PUBLISHING,
    Aim,
    Processes,
    Victim,
    assert_nothing_is_left,
    assert_one_publication,
    assert_raw_is_whole,
    children_running_dbt,
    taker_with_aim,
)
from tests.support.publications import NOW, Publisher

_IN_FLIGHT = 16
_HEAL_EVERY = 8


@pytest.fixture(scope="module")
def processes(fork_server: None, tmp_path_factory: pytest.TempPathFactory) -> Processes:
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
    assert_nothing_is_left(serving)
    print(f"kills of publication by stage: {dict(fell)}")


FIRST, LAST = date(2026, 3, 8), date(2026, 3, 10)
_RUN = ("run", "--from", str(FIRST), "--to", str(LAST))
# A storage begins with the archive's first edition; each correction replaces trades of its first day, or restores them.
_CORRECTIONS = 1
_DBT_NODES, _SUITES = 200, len(SUITES)
# How often each is aimed at: a build and an audit last for seconds, everything else for milliseconds.
_AIMED_AT = {**dict.fromkeys(INGESTING, 1), "dbt build": 4, NODE: 14, "audit": 8, **dict.fromkeys(PUBLISHING, 1)}


def test_whole_runs(fork_server: None, tmp_path: Path, rng: random.Random, scaled: Callable[[int], int]) -> None:
    """`taker run` itself, killed alone, with its process group, or of it only dbt. After some kills one run must
    heal everything, and publish what undisturbed runs of the same editions have published."""
    archive = _Editions(tmp_path / "archive")
    undisturbed = _Undisturbed(archive.taker(tmp_path / "undisturbed"))
    fell: Counter[str] = Counter()
    deck: list[str] = []
    kills, storage, corrections = scaled(100), 0, _CORRECTIONS
    while fell.total() < kills:
        if corrections == _CORRECTIONS:
            storage, corrections = storage + 1, 0
            killed = archive.taker(tmp_path / f"killed{storage}")
        else:
            corrections += 1
        archive.publish(corrections)
        for nth in range(rng.randint(2, 8)):
            deck = deck or rng.sample(list(_AIMED_AT), counts=list(_AIMED_AT.values()), k=sum(_AIMED_AT.values()))
            # What was ingested before the first kill is not ingested again.
            stage = next((one for one in deck if not nth or one not in INGESTING), deck[-1])
            deck.remove(stage)
            fell.update(_killed_run(killed, _aim(rng, stage), tmp_path / "stage"))
            print(f"{fell.total()} kills: {dict(fell)}", flush=True)
            assert_raw_is_whole(LocalStore(killed.storage), _IN_FLIGHT)
            if killed.marts.exists():
                assert_one_publication(killed.marts, killed.storage)
        began = time.monotonic()
        healed = killed.run(*_RUN, "-q")
        print(f"storage {storage}, correction {corrections}: healed in {time.monotonic() - began:.0f} s", flush=True)
        assert healed.returncode == 0, healed.stderr
        published, raw = undisturbed.after(archive, corrections)
        assert parquet_of(LocalStore(killed.storage)) == raw
        assert untrue_receipts(LocalStore(killed.storage)) == []
        assert differences(published, fingerprints(killed.marts)) == []
        assert_one_publication(killed.marts, killed.storage)
        assert _leftovers(killed.storage) == []
    print(f"kills of whole runs by stage: {dict(fell)}")


class _Editions:
    """An archive with two editions of one day's trades."""

    def __init__(self, root: Path) -> None:
        self._root = root
        simulate(root, last_day=LAST, days=8, trades_days=7, rows_per_day=240)
        files = [path for key in archive_keys(root) for path in (root / key, root / f"{key}.CHECKSUM")]
        self._first = {path: path.read_bytes() for path in files}
        publish_correction(root)
        self._second = {path: path.read_bytes() for path in files}
        assert self._first != self._second

    def publish(self, corrections: int) -> None:
        for path, payload in (self._second if corrections % 2 else self._first).items():
            path.write_bytes(payload)

    def taker(self, storage: Path) -> Taker:
        return Taker(storage, {"TAKER_ARCHIVE_URL": self._root.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"})


def archive_keys(root: Path) -> list[str]:
    day = FIRST.isoformat()
    return [
        path.relative_to(root).as_posix()
        for path in sorted((root / "data").rglob(f"*rades-{day}.zip"))
        if "BTCUSDT" in path.name
    ]


class _Undisturbed:
    """What runs that nothing disturbs publish and store, after each correction."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._known: list[tuple[dict[str, TableFingerprint], dict[str, str]]] = []

    def after(self, archive: _Editions, corrections: int) -> tuple[dict[str, TableFingerprint], dict[str, str]]:
        while len(self._known) <= corrections:
            archive.publish(len(self._known))
            self._taker.done(*_RUN)
            self._known.append((fingerprints(self._taker.marts), parquet_of(LocalStore(self._taker.storage))))
        archive.publish(corrections)
        return self._known[corrections]


def _aim(rng: random.Random, stage: str) -> Aim:
    victims: tuple[Victim, ...] = ("run", "group", "dbt") if stage in ("dbt build", NODE) else ("run", "group")
    nth = rng.randint(1, _DBT_NODES) if stage == NODE else rng.randint(1, _SUITES) if stage == "audit" else 1
    longest = {"dbt build": 6.0, NODE: 0.2, "audit": 0.2}.get(stage, 0.05)
    return Aim(stage, nth, rng.choice((0.0, rng.uniform(0, longest))), rng.choice(victims))


def _killed_run(taker: Taker, aim: Aim, log: Path) -> list[str]:
    """The stage that the run was in when it was killed; empty where it ended well before. No other end is one."""
    log.write_text("start")
    done = taker.run_as(partial(taker_with_aim, aim, log), *_RUN, "-q")
    if aim.victim == "dbt" and log.read_text() == DBT_ALONE:
        assert done.returncode == 1, f"{aim}: ended with {done.returncode}: {done.stderr}"
        assert "dbt was ended by SIGKILL" in done.stderr
        return [DBT_ALONE]
    _assert_dbt_ends(taker)
    if done.returncode == 0:
        print(f"{aim}: ended before")
        return []
    assert done.returncode == -signal.SIGKILL, f"{aim}: ended with {done.returncode}: {done.stderr}"
    return [f"{log.read_text()}, {aim.victim}"]


def _assert_dbt_ends(taker: Taker, within: float = 5.0) -> None:
    """A dbt whose run was killed must not go on writing."""
    deadline = time.monotonic() + within
    while children_running_dbt(mention=str(taker.storage)):
        assert time.monotonic() < deadline, "dbt goes on after its run was killed"
        time.sleep(0.02)


def _leftovers(storage: Path) -> list[str]:
    """What no process needs after a run has ended well. A state folder keeps its own identity among its processes."""
    staged = [path for path in storage.rglob("*") if path.name.endswith((".part", ".building", ".healing"))]
    claimed = [path for folder in ("tmp", "processes") for path in (storage / folder).glob("*")]
    found = [str(path.relative_to(storage)) for path in (*staged, *claimed)]
    return [path for path in found if path != "processes/.state-id"]
