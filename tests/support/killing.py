"""Processes that end by SIGKILL in a chosen stage, or at any moment, and what must hold whenever one has ended so.

Belongs here: the stages of a run, aiming at one of them, small processes that ingest or publish, `taker run` with an
aim, what is checked after a kill. Does not: how many kills there are (`tests/ingestion/test_kills.py`,
`tests/torture/test_kills.py`).

The kill is real: no handler, no `finally`, no flush. A log gets the stage it fell in.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow.parquet as pq

from ingestion.raw.store import LocalStore
from orchestration.state.whole import is_whole
from tests.support.archives import ArchiveFolder
from tests.support.histories import DAYS, ingested, untrue_receipts
from tests.support.publications import Publisher

INGESTING = ("download", "decode", "raw write", "receipt", "index")
PUBLISHING = ("copy marts", "export", "store version", "switch", "prune")
# By stage, the function that is this stage while it runs.
_FUNCTIONS = {
    "download": ("ingestion.http.fetch", "Archive.download"),
    "decode": ("ingestion.archive.make", "_decode"),
    "index": ("ingestion.raw.index", "update"),
    "copy marts": ("orchestration.warehouse.publish.publication", "_copy"),
    "export": ("orchestration.warehouse.publish.parquet", "export"),
    "store version": ("orchestration.warehouse.publish.parquet", "store_version"),
    "switch": ("orchestration.warehouse.publish.publication", "_switch"),
    "prune": ("orchestration.warehouse.publish.parquet", "prune"),
}
# By stage, the callback that announces it; it lasts until the next one. A node of dbt is a part of its build.
NODE = "dbt node"
_CALLBACKS = {"dbt build": "building", NODE: "built", "audit": "auditing"}
# Who is killed: the run, the run with every process of its group, or dbt alone, as a kernel without memory does.
Victim = Literal["run", "group", "dbt"]
DBT_ALONE = "dbt build, dbt alone"
_CHILD = b"orchestration.warehouse.child"


@dataclass(frozen=True)
class Aim:
    """`delay` seconds after the `nth` time that `stage` begins."""

    stage: str
    nth: int = 1
    delay: float = 0.0
    victim: Victim = "run"


class _Watch:
    """Knows which stage the process is in, and kills it as aimed."""

    def __init__(self, aim: Aim | None, log: Path) -> None:
        self._aim, self._log = aim, log
        self._begun: Counter[str] = Counter()
        self._lock = threading.Lock()

    def began(self, stage: str) -> None:
        with self._lock:
            self._begun[stage] += 1
            if self._log.read_text() != DBT_ALONE:
                self._log.write_text("dbt build" if stage == NODE else stage)
            is_aimed = self._aim is not None and (stage, self._begun[stage]) == (self._aim.stage, self._aim.nth)
        if is_aimed and self._aim is not None and (self._aim.delay or self._aim.victim == "dbt"):
            threading.Timer(self._aim.delay, _kill, (self._aim.victim, self._log), {}).start()
        elif is_aimed and self._aim is not None:
            _kill(self._aim.victim, self._log)

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.began(stage)
            return function(*args, **kwargs)

        return watched


def _kill(victim: Victim, log: Path) -> None:
    if victim == "run":
        os.kill(os.getpid(), signal.SIGKILL)
    elif victim == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    while log.read_text() == "dbt build":  # until dbt is there, or has ended
        for pid in children_running_dbt(os.getpid()):
            log.write_text(DBT_ALONE)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def children_running_dbt(parent: int | None = None, mention: str = "") -> list[int]:
    """Living processes that run dbt for a `taker`: those of one parent, or whose command line mentions a text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            command = (process / "cmdline").read_bytes()
            state, ppid = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            is_meant = mention.encode() in command and parent in (None, int(ppid))
            if _CHILD in command and is_meant and state != "Z":
                found.append(int(process.name))
    return found


def watch(aim: Aim | None, log: Path, *, callbacks: bool = False) -> None:
    """From now on this process records its stage, and ends as aimed. What it leaves lies beside the log."""
    tempfile.tempdir = str(log.parent)
    watching = _Watch(aim, log)
    for stage, (module_name, name) in _FUNCTIONS.items():
        holder: Any = importlib.import_module(module_name)
        *outer, last = name.split(".")
        for part in outer:
            holder = getattr(holder, part)
        setattr(holder, last, watching.around(stage, getattr(holder, last)))
    put_file, put_bytes = LocalStore.put_file, LocalStore.put_bytes

    def watched_file(self: LocalStore, key: str, *args: Any, **kwargs: Any) -> None:
        if key.startswith("raw/"):
            watching.began("raw write")
        put_file(self, key, *args, **kwargs)

    def watched_bytes(self: LocalStore, key: str, *args: Any, **kwargs: Any) -> bool:
        if key.endswith("/_receipt.json"):
            watching.began("receipt")
        return put_bytes(self, key, *args, **kwargs)

    LocalStore.put_file, LocalStore.put_bytes = watched_file, watched_bytes  # type: ignore[method-assign]
    if callbacks:
        recorder: Any = importlib.import_module("orchestration.runs.report").Recorder
        for stage, name in _CALLBACKS.items():
            setattr(recorder, name, watching.around(stage, getattr(recorder, name)))


def _ingest(archive: Path, store: Path, now: datetime, aim: Aim | None, log: Path) -> None:
    watch(aim, log)
    ingested(ArchiveFolder(archive), LocalStore(store), DAYS[0], DAYS[-1], now)


def _publish(folder: Path, days: int, now: datetime, aim: Aim | None, log: Path) -> None:
    watch(aim, log)
    publisher = Publisher.on(folder)
    publisher.now = now
    publisher.publish_days(days)


class Processes:
    """Starts small processes in some milliseconds: each is forked from one that has imported everything and has no
    thread. `log`: where the last of them wrote its stage."""

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self.log = folder / "stage"

    def ingest(self, archive: Path, store: Path, now: datetime, aim: Aim | None, after: float | None = None) -> str:
        return self._killed(_ingest, (archive, store, now), aim, after)

    def publish(self, folder: Path, days: int, now: datetime, aim: Aim | None, after: float | None = None) -> str:
        return self._killed(_publish, (folder, days, now), aim, after)

    def _killed(self, work: Any, arguments: tuple[Any, ...], aim: Aim | None, after: float | None) -> str:
        """The stage in which it was killed, by itself or `after` so many seconds; empty when it ended first."""
        self.log.write_text("start")
        process = self._context.Process(target=work, args=(*arguments, aim, self.log))
        process.start()
        if after is not None:
            time.sleep(after)
            if process.is_alive():
                process.kill()
        process.join(120)
        assert process.exitcode is not None, f"{arguments} did not end"
        assert process.exitcode in (0, -signal.SIGKILL), f"{arguments} ended with {process.exitcode}"
        return self.log.read_text() if process.exitcode else ""


def torn_objects(store: LocalStore) -> list[str]:
    """Objects that are not complete Parquet."""
    torn = []
    for found in store.list("raw"):
        if found.key.endswith(".parquet"):
            try:
                pq.read_table(store.root / found.key, partitioning=None)
            except Exception as error:
                torn.append(f"{found.key}: {error}")
    return torn


def assert_raw_is_whole(store: LocalStore, in_flight: int) -> None:
    """No object is torn; a receipt may differ from the object beside it only where a write was `in_flight`."""
    assert torn_objects(store) == []
    untrue = untrue_receipts(store)
    assert len(untrue) <= in_flight, untrue


def assert_one_publication(serving: Path, root: Path) -> tuple[int, dict[str, int]]:
    """The file opens and holds exactly the tables that its one publication states, as does `latest.json`. Returns the
    rows of both."""
    with duckdb.connect(str(serving), read_only=True) as connection:
        (published,) = connection.execute("select published_at, audit from publication").fetchall()
        stated = dict(connection.execute("select table_name, row_count from publication_tables").fetchall())
        held = {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in stated}
    assert held == stated
    assert published[0] is not None
    assert set(json.loads(published[1]).values()) <= {"passed", "warned"}
    latest = json.loads((root / "serving" / "latest.json").read_bytes())
    for name, mart in latest["marts"].items():
        payload = (root / "serving" / mart["file"]).read_bytes()
        assert hashlib.sha256(payload).hexdigest() == mart["sha256"], name
    return sum(held.values()), {name: mart["rows"] for name, mart in latest["marts"].items()}


def assert_nothing_is_left(serving: Path) -> None:
    """Beside the published file stands its note of being whole, and nothing that a killed process had begun."""
    assert is_whole(serving)
    assert [path.name for path in serving.parent.glob(".*")] == [f".{serving.name}.whole"]


def taker_with_aim(aim: Aim, log: Path) -> None:
    """`taker` as the command line of this process states it, leading a group of processes, with its end as aimed."""
    os.setpgrp()
    watch(aim, log, callbacks=True)
    from orchestration.cli.app import main as taker

    taker()
