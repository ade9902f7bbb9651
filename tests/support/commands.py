"""The `taker` command as a person runs it: a process of its own with the settings of one test.

Belongs here: running it and reading what it published. Does not: expectations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from orchestration.cli.app import main
from tests.support.forked import completed

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Taker:
    """A storage root and the settings that go with it."""

    storage: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """`taker ARGUMENTS` with these settings; settings are TAKER_* names in lower case."""
        return self.run_as(main, *arguments, **settings)

    def run_as(
        self, program: Callable[[], object], *arguments: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """The same with another program in the place of `taker`, such as one that ends by a kill."""
        named = {f"TAKER_{name.upper()}": value for name, value in settings.items()}
        environment = self.settings() | named
        # A program that is to be killed starts its dbt as users' do, which the system then kills with it.
        return completed(program, arguments, environment, ROOT, with_dbt=program is main)

    def started(self, module: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """`python -m MODULE ARGUMENTS` in a new process, as users start it, of the checkout `cwd`."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd,
            env=self.settings() | {"PYTHONPATH": str(cwd)},
            capture_output=True,
            text=True,
            check=False,
        )

    def settings(self) -> dict[str, str]:
        """The environment of a process with these settings and no others of Taker's."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAKER_", "AWS_", "DAGSTER_"))}
        return outside | {"TAKER_STORAGE_URL": str(self.storage)} | self.environment

    def done(self, *arguments: str, **settings: str) -> Any:
        """Run with --json, insist on success, and return the facts."""
        answer = self.run(*arguments, "--json", **settings)
        assert answer.returncode == 0, f"{answer.stdout}\n{answer.stderr}"
        return json.loads(answer.stdout)

    @property
    def marts(self) -> Path:
        return self.storage / "serving" / "marts.duckdb"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published marts."""
        with duckdb.connect(str(self.marts), read_only=True) as connection:
            return connection.execute(sql).fetchall()
