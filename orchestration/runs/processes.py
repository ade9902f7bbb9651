"""Processes of runs: the tag that names one, and ending runs whose process was killed.

Belongs here: whether the process of a run is alive. Does not: running.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from orchestration.compat.instance import free_pool_slots

if TYPE_CHECKING:
    import dagster as dg

PROCESS_TAG: Final = "taker/process"


def this_process() -> str:
    """Host and process id, the value of a run's tag."""
    return f"{socket.gethostname()}:{os.getpid()}"


def clear_abandoned_runs(instance: dg.DagsterInstance) -> None:
    """End runs whose process was killed: they would show as running for ever and keep their place in a pool."""
    import dagster as dg

    host, _, _ = this_process().partition(":")
    for found in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        owner, _, pid = found.tags.get(PROCESS_TAG, "").partition(":")
        if owner == host and not _alive(int(pid)):
            instance.report_run_failed(found, "The process of this run ended without reporting a result.")
            free_pool_slots(instance, found.run_id)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
