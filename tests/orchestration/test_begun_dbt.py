"""A dbt that was begun ahead of its build: it does what it is instructed to, as another would, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestration.config.settings import Settings
from orchestration.state.locks import Workplace
from orchestration.warehouse.begun import begun_dbt
from orchestration.warehouse.child import DBT_COMMAND


def test_it_goes_on_with_the_arguments_environment_and_folder_it_gets(settings: Settings, tmp_path: Path) -> None:
    environment = {**os.environ, "DBT_LOG_PATH": str(tmp_path), "DBT_PROFILES_DIR": str(tmp_path)}
    with begun_dbt(settings.dbt) as begun:
        command = [*DBT_COMMAND, "ls"]
        process = begun.instructed(command, subprocess.PIPE, subprocess.STDOUT, environment, tmp_path)
        assert process.stdout is not None
        output = process.stdout.read().decode()
        assert process.wait() == 2  # there is no project in that folder
    assert f"No dbt_project.yml found at expected path {tmp_path}" in output


def test_one_without_instructions_ends_with_the_run(settings: Settings) -> None:
    workplace = Workplace(settings.paths, wait=0)
    workplace.hold_warehouse(pytest.fail)
    workplace.keep("dbt", begun_dbt(settings.dbt))
    process = workplace.kept("dbt").process
    assert process.poll() is None
    workplace.close()
    assert process.returncode is not None
    assert workplace.kept("dbt") is None


def test_one_that_was_killed_meanwhile_states_so_by_its_exit_code(settings: Settings, tmp_path: Path) -> None:
    with begun_dbt(settings.dbt) as begun:
        begun.process.kill()
        begun.process.wait()
        process = begun.instructed([*DBT_COMMAND, "build"], subprocess.PIPE, subprocess.STDOUT, {}, tmp_path)
        assert process.wait() == -9
