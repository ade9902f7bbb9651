"""A build of dbt on Spark, around dbt: its session before, the copy of its tables and the expiry after, and its faults.

Belongs here: what becomes of a build that the cluster fails, in one sentence. Does not: what a session is (`session`),
the copy (`image`), what is found out before any of this starts (`reach`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from orchestration.warehouse.spark.image import Descriptions

# How long a build waits for a worker while it has none, in seconds; and the name of the setting in spark-defaults.conf.
_PATIENCE_SECONDS: Final = 300
PATIENCE: Final = "spark.taker.patienceSeconds"
_LOOKS_EVERY: Final = 1.0
_CAUSE: Final = re.compile(r"^(?:: |Caused by: )(.+)$", re.MULTILINE)
_CLASS: Final = re.compile(r"^(?:[\w$]+\.)+[\w$]+: ")


@contextlib.contextmanager
def session_of(
    args: Sequence[str], raw_url: str, warehouse: Path | None, descriptions: Callable[[], Descriptions]
) -> Iterator[None]:
    """Around the dbt that `args` start: with a session, and its tables copied to `warehouse` after it wrote any.

    Ends the process (SystemExit 1) with one sentence where the session does not start or the tables cannot be copied.
    """
    from orchestration.warehouse.spark.session import prepare

    try:
        session = prepare(raw_url)
    except Exception as error:  # whatever of Spark, Java, Iceberg or the catalog it is
        _fail(args, f"no session of Spark was started: {reason_of(error)}; nothing was built")
    _watch(session, args)
    try:
        yield
    except SystemExit as ending:
        if warehouse is not None:
            _copied(session, warehouse, descriptions, args, has_failed=bool(ending.code))
        raise


def _copied(
    session: SparkSession,
    warehouse: Path,
    descriptions: Callable[[], Descriptions],
    args: Sequence[str],
    *,
    has_failed: bool,
) -> None:
    from orchestration.warehouse.spark.expiry import expire
    from orchestration.warehouse.spark.image import write

    try:
        write(session, warehouse, descriptions())
        if not has_failed:
            expire(session)
    except Exception as error:
        # Of a build that failed, dbt has reported why: a driver that is gone copies nothing either.
        if not has_failed:
            _fail(args, f"the tables that Spark built could not be copied to {warehouse}: {reason_of(error)}")


def reason_of(error: BaseException) -> str:
    """The first cause of an error that Java reports with pages of others, without the names of its classes."""
    text = str(error)
    causes = [cause.strip() for cause in _CAUSE.findall(text) if cause.strip()]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = (causes or lines or [type(error).__name__])[-1 if causes else 0]
    while shorter := _CLASS.sub("", reason):
        if shorter == reason:
            break
        reason = shorter
    return reason


def _watch(session: SparkSession, args: Sequence[str]) -> None:
    """End the process when no worker computes for it any more: Spark itself would wait for ever."""
    context = session.sparkContext
    if context.master.startswith("local"):
        return
    patience = float(context.getConf().get(PATIENCE, str(_PATIENCE_SECONDS)))
    # Beside the workers' the state of the driver's own memory is one.
    threading.Thread(target=_await_workers, args=(context, patience, args), daemon=True, name="taker-workers").start()


def _await_workers(context: object, patience: float, args: Sequence[str]) -> None:
    missed, never = 0.0, threading.Event()
    while not never.wait(_LOOKS_EVERY):
        try:
            has_workers = context._jsc.sc().getExecutorMemoryStatus().size() > 1  # type: ignore[attr-defined]
        except Exception:  # the session has ended, and with it what there is to watch
            return
        missed = 0.0 if has_workers else missed + _LOOKS_EVERY
        if missed >= patience:
            _report(
                args,
                f"Spark has had no worker for {patience:.0f} s; nothing of this build is published. Start workers, or "
                "end what holds their cores, then run the same command again",
            )
            os._exit(1)


def _fail(args: Sequence[str], sentence: str) -> NoReturn:
    _report(args, sentence)
    raise SystemExit(1)


def _report(args: Sequence[str], sentence: str) -> None:
    """As an error of dbt's log where that is read by a program, and for a person otherwise."""
    if ("--log-format", "json") in pairwise(args):
        event = {"info": {"level": "error", "name": "SparkFailed", "msg": sentence}, "data": {}}
        print(json.dumps(event), flush=True)
    else:
        print(f"error: {sentence}", file=sys.stderr, flush=True)
