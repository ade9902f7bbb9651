"""Ingestion on two workers by a queue in Redis, with Dagster's history in PostgreSQL and one bucket of SeaweedFS; no
worker shares a folder with another. A backfill of 60 days, a worker that is killed, Redis that is gone for a while.

The services are those of compose.yaml with its profile `workers`, as processes of this machine.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy import make_secrets
from ingestion.raw.s3 import S3Options
from ingestion.raw.store import LocalStore
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.simulator.simulated import simulate
from tests.support.commands import Taker
from tests.support.composed import Composed
from tests.support.dagster_web import graphql, until
from tests.support.fingerprints import differences, fingerprints
from tests.support.postgres import running_postgres, server_programs
from tests.support.redis import RedisServer, running_redis

FIRST, LAST = date(2026, 1, 1), date(2026, 3, 1)  # 60 days
# In which order what was published is open, and so are the ranks that a later publication has revised.
_ORDERED = {"fct_spike_rank_revisions"}
DAYS = [str(FIRST + timedelta(days=n)) for n in range((LAST - FIRST).days + 1)]
MONTHS = ["2026-01", "2026-02", "2026-03"]
OF_DAYS = ("aggTrades", "metrics", "liquidationSnapshot")
OF_MONTHS = ("klines", "fundingRate")
_BACKFILL = """mutation Start($keys: [AssetKeyInput!], $partitions: [String!]) {
  launchPartitionBackfill(backfillParams: { assetSelection: $keys, partitionNames: $partitions }) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_RUNS = """{ runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"""
_EVENTS = """query Of($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
    ... on MessageEvent { message } ... on ErrorEvent { error { message } } } } } }"""


class Deployed:
    """The services, their servers, and what a browser requests of them."""

    def __init__(self, composed: Composed, redis: RedisServer, zone: RawZone) -> None:
        self.composed, self.redis, self.zone = composed, redis, zone
        self.address = f"http://127.0.0.1:{composed.ports['3000']}"
        self.log = composed.folder / "daemon.log"

    def backfill(self, datasets: tuple[str, ...], partitions: list[str]) -> None:
        keys = [{"path": ["raw", name]} for name in datasets]
        started = graphql(self.address, _BACKFILL, keys=keys, partitions=partitions)["launchPartitionBackfill"]
        assert started["__typename"] == "LaunchBackfillSuccess", started

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        found = graphql(self.address, _RUNS)["runsOrError"]["results"]
        return [run for run in found if (run["jobName"] == "build_and_publish") == (job == "build_and_publish")]

    def log_of(self, run_id: str) -> str:
        events = graphql(self.address, _EVENTS, run=run_id)["logsForRun"]["events"]
        return "\n".join(str(event.get("message")) + str(event.get("error") or "") for event in events)

    def ended(self, seconds: float = 900) -> None:
        """Wait until nothing is queued or executed any more, and something was built since."""

        def is_over() -> bool:
            statuses = {run["status"] for run in [*self.runs(), *self.runs("build_and_publish")]}
            built = self.runs("build_and_publish")
            return statuses <= {"SUCCESS", "FAILURE", "CANCELED"} and bool(built)

        until(is_over, self.log, seconds)


@contextmanager
def _deployed(folder: Path, seaweedfs: S3Options, archive: Path) -> Iterator[Deployed]:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here")
    with running_postgres(programs) as postgres, running_redis(folder / "redis") as redis:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as administrator:
            administrator.execute("create database dagster")
        secrets = folder / "secrets"
        assert make_secrets.make(secrets)
        for name, value in {
            "DAGSTER_POSTGRES_URL": postgres.url("dagster"),
            "TAKER_PUBLISH_POSTGRES_URL": "off",
            "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id,
            "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
            "CELERY_BROKER_URL": redis.url,
        }.items():
            (secrets / name).write_text(str(value))
        settings = {
            "DAGSTER_CONFIGURATION": "workers-dagster.yaml",
            "TAKER_MARKETS": "simulated:BTCUSDT",
            "TAKER_ARCHIVE_URL": archive.as_uri(),
            "TAKER_FIRST_DAY": str(FIRST),
            "TAKER_STORAGE_URL": f"s3://taker/{folder.parent.name}",
        }
        composed = Composed(folder, secrets, settings, {"http://seaweedfs:8333": str(seaweedfs.endpoint_url)})
        assert composed.once("bucket").returncode == 0
        zone = RawZone(open_store(settings["TAKER_STORAGE_URL"], seaweedfs))
        with ExitStack() as services:
            for service in ("code", "webserver", "daemon"):
                services.enter_context(composed.started(service))
            services.enter_context(composed.started("builder"))
            yield Deployed(composed, redis, zone)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    simulate(tmp_path / "archive", last_day=LAST, days=len(DAYS), trades_days=len(DAYS), rows_per_day=300)
    return tmp_path / "archive"


@pytest.fixture
def laptop(tmp_path: Path, archive: Path) -> Taker:
    """The same archive on one machine, in folders."""
    settings = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
    taker = Taker(tmp_path / "laptop", settings)
    taker.done("run", "--from", str(FIRST), "--to", str(LAST))
    return taker


def days_in(zone: RawZone) -> list[dict[str, Any]]:
    """What the index states of each day, but for when it was stored. A backfill of a month requests all of its days."""
    names = ["dataset", "interval", "day", "status", "row_count", "stored_sha256"]
    return [row for row in zone.index().select(names).to_pylist() if row["day"] <= LAST]


def of_laptop(laptop: Taker) -> list[dict[str, Any]]:
    return days_in(RawZone(LocalStore(laptop.storage)))


def workers_of(runs: list[dict[str, Any]]) -> Counter[str]:
    """How many runs each state folder has executed."""
    return Counter(tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "taker/state")


def as_on_the_laptop(deployed: Deployed, laptop: Taker) -> None:
    marts = deployed.composed.folder / "state" / "serving" / "marts.duckdb"
    one, other = (
        {name: table for name, table in fingerprints(each).items() if name not in _ORDERED}
        for each in (laptop.marts, marts)
    )
    assert differences(one, other) == []


def test_a_backfill_of_sixty_days_is_spread_over_two_workers_and_built_as_on_the_laptop(
    archive: Path, laptop: Taker, seaweedfs: S3Options, tmp_path: Path
) -> None:
    with _deployed(tmp_path / "cluster", seaweedfs, archive) as deployed, ExitStack() as workers:
        for name in ("worker-1", "worker-2"):
            workers.enter_context(deployed.composed.started("worker", name))
        deployed.backfill(OF_DAYS, DAYS)
        deployed.backfill(OF_MONTHS, MONTHS)
        deployed.ended()
        ingested, built = deployed.runs(), deployed.runs("build_and_publish")
        assert {run["status"] for run in [*ingested, *built]} == {"SUCCESS"}
        spread = workers_of(ingested)
        print(f"runs by state folder: {dict(spread)}; builds: {dict(workers_of(built))}")
        assert len(spread) == 2
        assert set(workers_of(built)).isdisjoint(spread)
        assert days_in(deployed.zone) == of_laptop(laptop)
        for name in ("worker-1", "worker-2"):
            assert not (tmp_path / "cluster" / name / "warehouse.duckdb").exists()
        before = deployed.zone.index()
        deployed.zone.store.delete("raw/receipts.parquet")
        assert deployed.zone.write_index().equals(before)
        as_on_the_laptop(deployed, laptop)


def _kill(process: Any) -> None:
    """The worker with everything that it started: a machine that is gone."""
    os.killpg(process.pid, signal.SIGKILL)


def test_a_run_of_a_worker_that_was_killed_is_executed_by_another_one(
    archive: Path, laptop: Taker, seaweedfs: S3Options, tmp_path: Path
) -> None:
    with _deployed(tmp_path / "cluster", seaweedfs, archive) as deployed:
        with deployed.composed.started("worker", "worker-1") as worker:
            deployed.backfill(OF_DAYS, DAYS)
            # One object of a day is there: it is in the middle of its run.
            until(lambda: bool(deployed.zone.store.list("raw/aggTrades")), deployed.log, 600)
            _kill(worker)
        (began,) = [run for run in deployed.runs() if workers_of([run])]
        with deployed.composed.started("worker", "worker-2"):
            until(
                lambda: deployed.log_of(began["runId"]).count("was ended while it executed the run") > 0,
                deployed.log,
                300,
            )
            deployed.backfill(OF_MONTHS, MONTHS)
            deployed.ended()
            statuses = Counter(run["status"] for run in deployed.runs())
            print(f"runs of ingestion: {dict(statuses)}")
            assert statuses["FAILURE"] == 1
            assert days_in(deployed.zone) == of_laptop(laptop)
            as_on_the_laptop(deployed, laptop)


def test_runs_wait_while_redis_is_gone_and_go_on_when_it_is_back(
    archive: Path, laptop: Taker, seaweedfs: S3Options, tmp_path: Path
) -> None:
    with (
        _deployed(tmp_path / "cluster", seaweedfs, archive) as deployed,
        deployed.composed.started("worker", "worker-1"),
    ):
        deployed.redis.stop()
        deployed.backfill(OF_DAYS, DAYS)
        until(
            lambda: any(
                "the queue of the workers does not answer" in deployed.log_of(run["runId"]) for run in deployed.runs()
            ),
            deployed.log,
            300,
        )
        assert {run["status"] for run in deployed.runs()} == {"QUEUED"}
        deployed.redis.start()
        deployed.backfill(OF_MONTHS, MONTHS)
        deployed.ended()
        assert {run["status"] for run in [*deployed.runs(), *deployed.runs("build_and_publish")]} == {"SUCCESS"}
        assert days_in(deployed.zone) == of_laptop(laptop)
        as_on_the_laptop(deployed, laptop)
