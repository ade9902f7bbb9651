"""Dagster's instance and its event log, beyond the documented methods.

Belongs here: opening an instance with another configuration than its `dagster.yaml` has, and reads and writes of the
event log. Does not: when they are needed (`orchestration.runs`, `orchestration.defs.publish`).

`open_home` overrides entries of `dagster.yaml`, with `InstanceRef.from_dir`, and names `NoOpComputeLogManager`.
    Upstream: python_modules/dagster/dagster/_core/instance/ref.py; no issue is known that requests a public way. The
    class is named by Dagster's own documentation, https://github.com/dagster-io/dagster/pull/19665.
    Remove when: `DagsterInstance` can be opened by folder with overrides, or a run can switch the capture off.
`report_run_failed` uses `event_log_storage` and the names of its files to set a damaged one aside.
    Upstream: python_modules/dagster/dagster/_core/storage/event_log/sqlite/sqlite_event_log.py (`path_for_shard`,
    `_initialized_dbs`): a file per run, which Dagster opens when it records an event of that run. No issue is known.
    Remove when: the events of all runs are in one file, which is checked when the instance is opened.
`show_runs_in` replaces `DagsterInstance.create_run_for_job` of one instance, which `execute_in_process` calls without
the origin of the run, the code location that it is of; the UI's timeline leaves out what has none.
    Upstream: python_modules/dagster/dagster/_core/execution/execute_in_process.py; no issue is known.
    Remove when: `execute_in_process` takes a code location.
`is_valid_configuration` calls `dagster_instance_config`.
    Upstream: python_modules/dagster/dagster/_core/instance/config.py; no issue is known. Dagster checks `dagster.yaml`
    when it is loaded, with the settings of all classes that it names.
    Remove when: there is a public check of a `dagster.yaml`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.state.healing import heal, sqlite_fault

if TYPE_CHECKING:
    import dagster as dg

# Of a `Definitions`, which is a repository without a name.
SINGLETON_REPOSITORY_NAME: Final = "__repository__"
# Nothing is sent to Dagster's makers, whatever `dagster.yaml` has become.
_NO_TELEMETRY: Final[dict[str, Any]] = {"telemetry": {"enabled": False}}
_NO_COMPUTE_LOGS: Final[dict[str, Any]] = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def open_home(home: Path, *, captures_output: bool) -> dg.DagsterInstance:
    """The instance of this DAGSTER_HOME. `captures_output`: store what steps print, as its configuration states."""
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    overrides = _NO_TELEMETRY if captures_output else {**_NO_TELEMETRY, **_NO_COMPUTE_LOGS}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))


def show_runs_in(instance: dg.DagsterInstance, module: str, location: str) -> None:
    """Of every run that this instance records from now on, state that it is of this code location, as of one that the
    UI has started: so it is shown on the home page, in the history of its job and in the timeline."""
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=module)
    repository = RemoteRepositoryOrigin(
        ManagedGrpcPythonEnvCodeLocationOrigin(target, location), SINGLETON_REPOSITORY_NAME
    )
    create = instance.create_run_for_job

    def created(job_def: dg.JobDefinition, **options: Any) -> dg.DagsterRun:
        return create(job_def=job_def, **{"remote_job_origin": RemoteJobOrigin(repository, job_def.name), **options})

    instance.create_run_for_job = created  # type: ignore[method-assign, assignment]


def report_run_failed(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str) -> list[str]:
    """End a run that is no longer executed. Its own event file may be torn: it is set aside, with a sentence."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    try:
        instance.report_run_failed(run, why)
        return []
    except DatabaseError as error:
        shard = getattr(instance.event_log_storage, "path_for_shard", None)
        if isinstance(error, OperationalError) or shard is None:
            raise
    healed = heal(Path(shard(run.run_id)), sqlite_fault, f"the events of run {run.run_id} are lost")
    made: set[str] = getattr(instance.event_log_storage, "_initialized_dbs", set())
    made.discard(run.run_id)  # so that it is made anew
    instance.report_run_failed(run, why)
    return [healed] if healed else []


def is_valid_configuration(home: Path) -> bool:
    """Whether Dagster accepts the `dagster.yaml` in this folder."""
    import dagster as dg
    from dagster._core.instance.config import dagster_instance_config
    from yaml import YAMLError

    try:
        dagster_instance_config(str(home))
    except (dg.DagsterError, YAMLError, UnicodeDecodeError, TypeError, ValueError, AttributeError):
        return False
    return True
