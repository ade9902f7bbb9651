"""A worker: the process that executes runs from a queue, one at a time: `python -m orchestration.runs.worker --help`.

Belongs here: which queues it serves, under which name, each run in a process of its own. Does not: which queue a run
goes to (`orchestration.compat.queue`), where the queue is (`run_launcher` of the `dagster.yaml` in DAGSTER_HOME).
"""

from __future__ import annotations

import argparse
import hashlib
import socket
import sys
from collections.abc import Sequence
from typing import Any

from orchestration.compat.logs import redact_logs
from orchestration.compat.queue import QUEUES, QueueLauncher
from orchestration.config.paths import Paths
from orchestration.config.settings import load_settings
from orchestration.state.process import sweep


def worker_name(paths: Paths) -> str:
    """The worker's name in the queue: one for each state folder of a host."""
    return f"{hashlib.sha256(str(paths.state).encode()).hexdigest()[:8]}@{socket.gethostname()}"


def app_of_instance() -> Any:
    """The Celery application of the instance's launcher. SystemExit where it has another one."""
    import dagster as dg

    launcher = dg.DagsterInstance.get().run_launcher
    if not isinstance(launcher, QueueLauncher):
        raise SystemExit(
            f"the dagster.yaml of this process has the run launcher {type(launcher).__name__}, which has no queue; use "
            "deploy/workers-dagster.yaml (docs/deploy.md)"
        )
    return launcher.celery


def is_alive(paths: Paths) -> bool:
    """Whether the worker of this state folder answers. OSError and errors of Redis where the queue does not."""
    answers = app_of_instance().control.inspect(destination=[worker_name(paths)], timeout=5.0).ping()
    return bool(answers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute runs until SIGTERM; then the present one ends first."""
    from dagster_celery.tasks import create_execute_job_task

    parser = argparse.ArgumentParser(prog="python -m orchestration.runs.worker", description=main.__doc__)
    parser.add_argument(
        "--queues", nargs="+", choices=QUEUES, default=QUEUES[:1], help="`state` only where the warehouse and spool are"
    )
    chosen = parser.parse_args(arguments)
    redact_logs()
    paths = load_settings().paths
    sweep(paths)  # of one that was killed
    app = app_of_instance()
    create_execute_job_task(app)
    # In a process of its own each run has its own memory and locks; without prefetching, none waits for a busy worker.
    options = [
        "--concurrency=1",
        "--max-tasks-per-child=1",
        "--disable-prefetch",
        "--without-gossip",
        "--loglevel=INFO",
    ]
    app.worker_main(["worker", f"--queues={','.join(chosen.queues)}", f"--hostname={worker_name(paths)}", *options])


if __name__ == "__main__":
    main(sys.argv[1:])
