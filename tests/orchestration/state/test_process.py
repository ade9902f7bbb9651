"""Who is alive in a state folder, and what is swept up after the others."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from orchestration.automation.abandoned_runs import end_abandoned_runs
from orchestration.config.paths import Paths
from orchestration.config.settings import Settings
from orchestration.defs.warehouse import dbt_resource
from orchestration.resources import workplace_resource
from orchestration.runs.instance import open_instance
from orchestration.state.locks import Busy, Workplace
from orchestration.state.process import (
    LAPSED_SECONDS,
    PROCESS_TAG,
    STATE_TAG,
    is_alive,
    join,
    scratch,
    state_id,
    sweep,
    this_process,
)
from orchestration.warehouse.child import DBT_COMMAND
from tests.support.processes import HAS_SCRATCH, eventually, process


def test_a_process_is_named_by_boot_namespace_pid_and_start(tmp_path: Path) -> None:
    with process(tmp_path) as other:
        mine, theirs = this_process().split("."), other.identity.split(".")
    assert mine[:2] == theirs[:2]
    assert (mine[2], theirs[2]) == (str(os.getpid()), str(other.popen.pid))
    assert len(mine) == 4


def test_a_killed_process_is_dead_and_a_restarted_one_of_the_same_pid_is_another(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with process(tmp_path) as other:
        assert is_alive(paths, other.identity)
        other.kill()
        assert not is_alive(paths, other.identity)
    # In a container the pid is 1 again: what an earlier version wrote, and an identity of another start.
    join(paths)
    assert is_alive(paths, this_process())
    assert not is_alive(paths, f"{socket.gethostname()}:{os.getpid()}")
    assert not is_alive(paths, this_process().rpartition(".")[0] + ".1")


def test_a_process_of_another_host_is_dead_when_its_heartbeats_have_stopped(tmp_path: Path) -> None:
    paths, elsewhere = Paths(tmp_path), "another-boot.1.1.1"
    join(paths)
    (paths.processes / elsewhere).write_text("{}")
    (paths.scratch / elsewhere).mkdir(parents=True)
    assert is_alive(paths, elsewhere)
    sweep(paths)
    assert (paths.scratch / elsewhere).exists()
    lapsed = time.time() - LAPSED_SECONDS - 60
    os.utime(paths.processes / elsewhere, (lapsed, lapsed))
    assert not is_alive(paths, elsewhere)
    sweep(paths)
    assert not (paths.scratch / elsewhere).exists()


def test_scratch_space_of_the_dead_is_swept_and_that_of_the_living_stays(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with process(tmp_path, HAS_SCRATCH) as living, process(tmp_path, HAS_SCRATCH) as dead:
        dead.kill()
        with scratch(paths) as mine:
            sweep(paths)
            assert mine.is_dir()
        assert not mine.exists()
        left = {found.name for found in paths.scratch.iterdir()} - {this_process()}
        assert left == {living.identity}
        assert len(list((paths.scratch / living.identity).iterdir())) == 1


@dg.asset
def thing() -> None: ...


def test_runs_of_dead_processes_are_ended_and_those_of_living_ones_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    job = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("job", [thing])]).resolve_job_def("job")

    with process(settings.paths.state) as other:
        with open_instance(settings.paths.dagster_home) as instance:
            living, dead, torn = (
                instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PROCESS_TAG: process}).run_id
                for process in (other.identity, f"vm:{os.getpid()}", "gone.1.1.1")
            )
        (settings.paths.dagster_home / "history" / "runs" / f"{torn}.db").write_bytes(b"torn" * 500)
        with open_instance(settings.paths.dagster_home) as instance:  # as the next process does
            (sentence,) = end_abandoned_runs(instance, settings.paths)
            statuses = [instance.get_run_by_id(run).status for run in (living, dead, torn)]
        assert f"the events of run {torn} are lost" in sentence
        assert statuses == [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.FAILURE]


def test_runs_of_another_state_folder_are_not_judged_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with a folder of its own executes them: its launcher sees whether it lives."""
    monkeypatch.setattr("orchestration.automation.abandoned_runs.UNNAMED_SECONDS", 0.0)
    job = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("job", [thing])]).resolve_job_def("job")
    own, other = state_id(settings.paths), state_id(Paths(settings.paths.state / "another"))
    assert own == state_id(settings.paths) != other
    with open_instance(settings.paths.dagster_home) as instance:
        here, elsewhere, waiting = (
            instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags).run_id
            for tags in (
                {PROCESS_TAG: "gone.1.1.1", STATE_TAG: own},
                {PROCESS_TAG: "gone.1.1.1", STATE_TAG: other},
                {"dagster-celery/task_id": "in the queue"},
            )
        )
        end_abandoned_runs(instance, settings.paths)
        statuses = [instance.get_run_by_id(run).status for run in (here, elsewhere, waiting)]
    assert statuses == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTED]


def test_a_run_that_was_killed_before_it_named_its_process_is_ended_after_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("job", [thing])]).resolve_job_def("job")
    status = dg.DagsterRunStatus
    with open_instance(settings.paths.dagster_home) as instance:
        launched = [
            instance.create_run_for_job(job, status=each).run_id
            for each in (status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING)
        ]

        def statuses() -> list[dg.DagsterRunStatus]:
            return [instance.get_run_by_id(run_id).status for run_id in launched]

        end_abandoned_runs(instance, settings.paths)
        assert statuses() == [status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING]
        monkeypatch.setattr("orchestration.automation.abandoned_runs.UNNAMED_SECONDS", 0.0)
        end_abandoned_runs(instance, settings.paths)
        assert statuses() == [status.FAILURE] * 4
        event = instance.all_logs(launched[1])[-1].dagster_event
        assert "killed before its first step" in (event.message or "")


def test_a_run_that_was_ended_before_it_began_does_not_begin(tmp_path: Path) -> None:
    job = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("job", [thing])]).resolve_job_def("job")
    resource: Any = workplace_resource(Paths(tmp_path), 0).resource_fn
    with dg.DagsterInstance.ephemeral() as instance:
        ended = instance.create_run_for_job(job, status=dg.DagsterRunStatus.FAILURE).run_id
        with pytest.raises(dg.Failure, match="was ended before it began; start it again"):
            next(resource(SimpleNamespace(instance=instance, run_id=ended)))


def test_a_run_holds_the_lock_from_the_step_that_takes_it_to_its_end_and_names_its_process(tmp_path: Path) -> None:
    seen: list[str] = []

    @dg.asset
    def takes(workplace: dg.ResourceParam[Workplace]) -> None:
        workplace.hold_warehouse(pytest.fail)

    @dg.asset(deps=[takes])
    def later(context: dg.AssetExecutionContext) -> None:
        seen.append(context.instance.get_run_by_id(context.run_id).tags[PROCESS_TAG])
        with pytest.raises(Busy):
            Workplace(Paths(tmp_path), wait=0).hold_warehouse(lambda text: None)
        raise dg.Failure("and a failed run releases it, too", allow_retries=False)

    definitions = dg.Definitions(
        assets=[takes, later],
        jobs=[dg.define_asset_job("job", "*")],
        resources={"workplace": workplace_resource(Paths(tmp_path), 0)},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        done = definitions.resolve_job_def("job").execute_in_process(instance=instance, raise_on_error=False)
    assert not done.success
    assert seen == [this_process()]
    with contextlib.closing(Workplace(Paths(tmp_path), wait=0)) as workplace:
        workplace.hold_warehouse(pytest.fail)


def test_dbt_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    child = (
        "import time; from orchestration.state.parent import end_with_parent; end_with_parent(); "
        "print('tied', flush=True); time.sleep(600)"
    )
    start = f"import subprocess; child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)"
    write = f"child.stdout.readline(); Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))"
    with process(tmp_path, start, write) as parent:
        pid = int((tmp_path / "pid").read_text())
        parent.kill()
        assert eventually(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    """Whether the process is at work; one that waits only to be collected by its parent is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_dbt_is_started_as_such_a_child(settings: Settings) -> None:
    resource = dbt_resource(settings.dbt)
    assert (resource.dbt_executable, *resource.global_config_flags[: len(DBT_COMMAND) - 1]) == DBT_COMMAND
    shown = subprocess.run([*DBT_COMMAND, "--version"], capture_output=True, text=True, check=False)
    assert "Core:" in shown.stdout + shown.stderr
    assert sys.executable == DBT_COMMAND[0]
