"""Dagster's instance and its event log, beyond the documented methods.

Belongs here: opening an instance with another configuration than its `dagster.yaml` has, and two reads and writes of
the event log. Does not: when they are needed (`orchestration.runs`, `orchestration.defs.publish`).

`open_home` overrides one entry of `dagster.yaml`, with `InstanceRef.from_dir`, and names `NoOpComputeLogManager`.
    Upstream: python_modules/dagster/dagster/_core/instance/ref.py; no issue is known that requests a public way. The
    class is named by Dagster's own documentation, https://github.com/dagster-io/dagster/pull/19665.
    Remove when: `DagsterInstance` can be opened by folder with overrides, or a run can switch the capture off.
`check_history` reads `event_log_storage.get_asset_check_execution_history`.
    Upstream: python_modules/dagster/dagster/_core/storage/event_log/base.py; no issue is known. The documented
    `get_latest_asset_check_evaluation_record` returns the record that a queued run has planned, without an evaluation.
    Remove when: an instance method returns the latest evaluation of a check, whatever runs are queued.
`free_pool_slots` calls `event_log_storage.free_concurrency_slots_for_run`.
    Upstream: https://github.com/dagster-io/dagster/pull/14614 and issues/32560: only the monitoring daemon frees the
    slots of an ended run, and `taker run` has no daemon.
    Remove when: `DagsterInstance.report_run_failed` frees the slots itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

_NO_COMPUTE_LOGS: Final = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def open_home(home: Path, *, captures_output: bool) -> dg.DagsterInstance:
    """The instance of this DAGSTER_HOME. `captures_output`: store what steps print, as its configuration states."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    overrides = None if captures_output else _NO_COMPUTE_LOGS
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))


def check_history(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, *, limit: int
) -> Sequence[AssetCheckExecutionRecord]:
    """The latest records of a check, newest first: planned ones and evaluations."""
    return instance.event_log_storage.get_asset_check_execution_history(check, limit=limit)


def free_pool_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back the places in pools that an ended run still holds."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
