"""Runs on workers: which queue a run goes to, and whether its worker is alive, with a real Redis and a real worker.

Belongs here: the launcher's decisions. Does not: whole backfills on workers (`tests/torture/test_workers.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from redis.exceptions import RedisError

from orchestration.compat.queue import INGEST, STATE, QueueLauncher, queue_of
from tests.support.redis import RedisServer, running_redis

TASK = "dagster-celery/task_id"
# A worker as `orchestration.runs.worker` starts one, with a task that lasts in place of a run.
WORKER = """
import sys, time
from celery import Celery
app = Celery("dagster", broker=sys.argv[1], backend=sys.argv[1])
@app.task(name="lasting", track_started=True)
def lasting():
    while True:
        time.sleep(0.1)
app.worker_main(["worker", "--concurrency=1", "--hostname=w@here", "--queues=dagster", "--loglevel=ERROR"])
"""


@pytest.mark.parametrize(
    ("job", "selection", "queue"),
    [
        ("ingest_days", None, INGEST),
        ("ingest_months", ["klines"], INGEST),
        ("__ASSET_JOB", ["aggTrades", "metrics"], INGEST),
        ("__ASSET_JOB", ["aggTrades", "liquidations"], STATE),
        ("__ASSET_JOB", ["receipts"], STATE),
        ("ingest_today", None, STATE),
        ("build_and_publish", None, STATE),
        ("__ASSET_JOB", None, STATE),
    ],
)
def test_only_files_of_archives_are_ingested_by_any_worker(job: str, selection: list[str] | None, queue: str) -> None:
    keys = None if selection is None else {dg.AssetKey(["raw", name]) for name in selection}
    assert queue_of(dg.DagsterRun(job_name=job, asset_selection=frozenset(keys) if keys else None)) == queue


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as server:
        yield server


def launcher_of(redis: RedisServer) -> QueueLauncher:
    return QueueLauncher(default_queue=INGEST, broker=redis.url, backend=redis.url, config_source={})


@contextmanager
def worker(redis: RedisServer) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", WORKER, redis.url], start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_of(task: Any) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="job", tags={TASK: task.id})


def begun(task: Any) -> None:
    while task.state != "STARTED":
        threading.Event().wait(0.05)  # another process, which can only be polled


def test_a_run_is_alive_while_its_worker_has_it_and_no_longer(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = launcher_of(redis)
    with worker(redis) as process:
        task = launcher.celery.send_task("lasting", queue=INGEST)
        begun(task)
        assert launcher.check_run_worker_health(run_of(task)).status is WorkerStatus.RUNNING
        # A queue that was lost with its memory is no reason to end what is executed.
        launcher.celery.backend.client.flushall()
        assert launcher.celery.AsyncResult(task.id).state == "PENDING"
        assert launcher.check_run_worker_health(run_of(task)).status is WorkerStatus.RUNNING
        task = launcher.celery.send_task("lasting", queue=INGEST)  # waits for the first one
        other = launcher.celery.AsyncResult(task.id)
        assert process.poll() is None
    monkeypatch.setattr("orchestration.compat.queue._ANSWERS_WITHIN", 0.2)
    found = launcher.check_run_worker_health(run_of(other))
    assert (found.status, found.msg) == (WorkerStatus.FAILED, "no worker executes the run")


def test_a_run_of_a_worker_that_was_killed_and_came_back_has_failed(redis: RedisServer) -> None:
    launcher = launcher_of(redis)
    with worker(redis):
        task = launcher.celery.send_task("lasting", queue=INGEST)
        begun(task)
    with worker(redis):
        while not launcher.celery.control.inspect(timeout=0.5).ping():
            pass
        found = launcher.check_run_worker_health(run_of(task))
    assert (found.status, found.msg) == (WorkerStatus.FAILED, "worker w@here was ended while it executed the run")


def test_a_run_that_no_worker_was_given_is_not_judged(redis: RedisServer) -> None:
    run = dg.DagsterRun(job_name="of `taker run`")
    launcher = launcher_of(redis)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert launcher.get_run_worker_debug_info(run) is None


@dg.asset
def thing() -> None: ...


def test_while_redis_is_gone_a_run_is_tried_again_and_none_is_judged(redis: RedisServer, tmp_path: Path) -> None:
    launcher = launcher_of(redis)
    job = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("ingest_days", [thing])]).resolve_job_def(
        "ingest_days"
    )
    redis.stop()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        launcher.register_instance(instance)
        run = instance.create_run_for_job(job, job_code_origin=job_origin())
        with pytest.raises(
            DagsterUserCodeUnreachableError, match=r"does not answer .* start Redis again, or check CEL"
        ):
            launcher.launch_run(LaunchRunContext(run, None))
        assert instance.get_run_by_id(run.run_id).tags["dagster-celery/queue"] == INGEST
        with pytest.raises(RedisError):
            launcher.check_run_worker_health(run.with_tags({TASK: "a task"}))


def job_origin() -> JobPythonOrigin:
    repository = RepositoryPythonOrigin(sys.executable, ModuleCodePointer("orchestration.definitions", "defs"))
    return JobPythonOrigin("ingest_days", repository)
