"""A dbt that is begun before it is known what it has to build.

Belongs here: starting it, instructing it, and ending one that was not. Does not: its instructions
(`orchestration.warehouse.profile`), or when it is begun (`orchestration.defs`).

Importing dbt and reading its parsed project takes two seconds of one core. The index of the receipts, which a build has
to wait for, is written on the other one meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orchestration.config.dbt import DbtConfig
from orchestration.warehouse.child import DBT_COMMAND, WAITS
from orchestration.warehouse.parsed import is_checkout, parsed_path
from orchestration.warehouse.profile import PROJECT_DIR, target_dir


class BegunDbt:
    """A process that has dbt in memory, or will in a moment, and does nothing until it is instructed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def instructed(
        self, args: Sequence[str], stdout: int, stderr: int, env: Mapping[str, str], cwd: str | os.PathLike[str]
    ) -> subprocess.Popen[bytes]:
        """The process, which goes on as `subprocess.Popen` would have started one.

        One that was killed meanwhile is returned as it is: its exit code states so, as that of any other dbt.
        """
        own = len(DBT_COMMAND)
        assert tuple(args[:own]) == DBT_COMMAND, args
        assert (stdout, stderr) == (subprocess.PIPE, subprocess.STDOUT)
        line = json.dumps([list(args[own:]), dict(env), os.fspath(cwd)])
        stdin = self.process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(f"{line}\n".encode())
        return self.process


@contextlib.contextmanager
def begun_dbt(config: DbtConfig) -> Iterator[BegunDbt]:
    """A dbt for this target, which the block may instruct. It is killed when the block ends, if it is still there: it
    was not instructed, or its caller no longer waits for it."""
    folder = None if is_checkout(PROJECT_DIR) else target_dir(config)
    command = [*DBT_COMMAND, WAITS, str(parsed_path(PROJECT_DIR, config.target, folder=folder))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Read when Python starts: each line is an event that Dagster waits for.
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=Path(PROJECT_DIR),
    ) as process:
        try:
            yield BegunDbt(process)
        finally:
            process.kill()
