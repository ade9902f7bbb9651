"""`dagster dev -w workspace.yaml`, as a user of Dagster starts it: the history of `make ui`, and no folder is left."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration.compat.instance import show_runs_in
from orchestration.runs.instance import open_instance
from tests.support.commands import ROOT
from tests.support.dagster_web import answering, free_port, graphql, running, without_settings

RUNS = """{ runsOrError { ... on Runs { results { runId jobName
    repositoryOrigin { repositoryName repositoryLocationName } } } } }"""
# What the page of a job's runs requests.
OF_THE_JOB = """{ runsOrError(filter: { pipelineName: "build_and_publish",
    tags: [{ key: ".dagster/repository", value: "__repository__@taker" }] }) { ... on Runs { results { runId } } } }"""
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"


@dg.op
def nothing() -> None:
    """A step, so that the run has one."""


@dg.job(name="build_and_publish", executor_def=dg.in_process_executor)
def build_and_publish() -> None:
    nothing()


def recorded_by_the_command_line(folder: Path) -> str:
    """A run in the history below `folder`, recorded as `taker run` records its own; its id."""
    with open_instance(folder / "var" / "dagster") as instance:
        show_runs_in(instance, "orchestration.definitions", "taker")
        return str(build_and_publish.execute_in_process(instance=instance).run_id)


def test_it_shows_the_runs_of_the_command_line_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that it is restored after the test
    for name in ("workspace.yaml", "dagster.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    run_id = recorded_by_the_command_line(tmp_path)
    port, log = free_port(), tmp_path / "var" / "dev.log"
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", "workspace.yaml", "-p", str(port)]
    with running(command, cwd=tmp_path, environment=without_settings(), log=log) as server:
        address = answering(port, server, log)
        (location,) = graphql(address, LOCATIONS)["workspaceOrError"]["locationEntries"]
        (run,) = graphql(address, RUNS)["runsOrError"]["results"]
        of_the_job = graphql(address, OF_THE_JOB)["runsOrError"]["results"]
    assert (location["name"], location["locationOrLoadError"]["__typename"]) == ("taker", "RepositoryLocation")
    # The timeline and the home page leave out what states no code location.
    assert run == {
        "runId": run_id,
        "jobName": "build_and_publish",
        "repositoryOrigin": {"repositoryName": "__repository__", "repositoryLocationName": "taker"},
    }
    assert of_the_job == [{"runId": run_id}]
    assert {path.name for path in tmp_path.iterdir()} == {"workspace.yaml", "dagster.yaml", "var"}
