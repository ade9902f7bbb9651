"""Commands in processes of their own, forked from one process that has imported what they import.

Belongs here: starting such a process with its own environment, folder and output. Does not: which commands.

Importing Dagster, dbt and Great Expectations takes ten seconds of CPU, more than half of a small run. Each test process
imports them once, in Python's own fork server, and every command starts from there with nothing of another one's: its
settings, DuckDB, pools of threads and open files are made after the fork. So does the dbt that such a command starts,
and since Great Expectations is there already, none begins another process for it.
What a person starts is tried by the demo's and the UI's tests, which start new processes.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.forkserver import _forkserver
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from orchestration.warehouse.audit.gx import HERE
from orchestration.warehouse.child import DBT_COMMAND
from orchestration.warehouse.parsed import run_dbt

_FORKED = multiprocessing.get_context("forkserver")
_PRELOADED = [
    "tests.support.as_a_program",
    "orchestration.definitions",
    "orchestration.cli.app",
    "orchestration.runs.execution",
    "orchestration.cli.render.console",
    "orchestration.cli.render.progress",
    "orchestration.warehouse.dbt_nodes",
    "ingestion.archive",
    "ingestion.http.reach",
    "altair",
    "dagster.daemon",
    "dbt.cli.main",
    "dbt.task.build",
    "tests.support.prepared",
]
_FORKED.set_forkserver_preload(_PRELOADED)


def start_server() -> None:
    """Start the process to fork from now, before another module gives Python's one fork server less to import."""
    _FORKED.set_forkserver_preload(_PRELOADED)
    process = _FORKED.Process(target=int)
    process.start()
    process.join()


def completed(
    main: Callable[[], object],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    *,
    with_dbt: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`main()` as the process that `arguments` would start, once it has ended: exit code, standard output and error.

    `with_dbt`: Dagster, in that process, starts dbt from the fork server too.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _FORKED.Process(
            target=_command, args=(main, [*arguments], dict(environment), cwd, out, err, with_dbt)
        )
        process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess([*arguments], process.exitcode, out.read_text(), err.read_text())


def _command(
    main: Callable[[], object],
    arguments: list[str],
    environment: dict[str, str],
    cwd: Path,
    out: Path,
    err: Path,
    with_dbt: bool,
) -> None:
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, stream.fileno())
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["taker", *arguments]
    for module, name, replaced in _of_judging_here():
        vars(module)[name] = replaced
    if with_dbt:
        _fork_dbt()
    try:
        main()
    finally:
        # A process of this kind ends without them; a command's own would have run.
        atexit._run_exitfuncs()


def _fork_dbt() -> None:
    for module, name, replaced in _of_forked_dbt():
        vars(module)[name] = replaced
    # Of a process that the server forked itself, Python would start another server, and not find the first one's.
    _forkserver.ensure_running = lambda: None  # type: ignore[method-assign]


def fork_dbt_here(patch: pytest.MonkeyPatch) -> None:
    """Let Dagster in this very process start dbt from the fork server, and the audit judge here, until the patch is
    undone."""
    start_server()
    for module, name, replaced in (*_of_forked_dbt(), *_of_judging_here()):
        patch.setattr(module, name, replaced)


def _of_forked_dbt() -> Sequence[tuple[ModuleType, str, object]]:
    """In which module which name becomes what. There is nothing to import ahead of the build."""
    popen = SimpleNamespace(Popen=_ForkedDbt, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT)
    return (
        (import_module("orchestration.defs.warehouse"), "begun_dbt", lambda config: contextlib.nullcontext()),
        (import_module("dagster_dbt.core.dbt_cli_invocation"), "subprocess", popen),
    )


def _of_judging_here() -> Sequence[tuple[ModuleType, str, object]]:
    return ((import_module("orchestration.runs.execution"), "begun_judge", lambda: contextlib.nullcontext(HERE)),)


class _ForkedDbt:
    """What dagster-dbt uses of the `subprocess.Popen` of a dbt, whose output it reads to the end."""

    def __init__(self, args: Sequence[str], stdout: int, stderr: int, env: Mapping[str, str], cwd: Path) -> None:
        assert tuple(args[: len(DBT_COMMAND)]) == DBT_COMMAND, args
        assert (stdout, stderr) == (subprocess.PIPE, subprocess.STDOUT)
        self.args = args
        read, written = _FORKED.Pipe(duplex=False)
        # The end of a pipe that the dbt reads, and that ends with this process.
        ends, self._alive = _FORKED.Pipe(duplex=False)
        arguments = ([*args[len(DBT_COMMAND) :]], dict(env), Path(cwd), written, ends)
        self._process = _FORKED.Process(target=_dbt, args=arguments)
        self._process.start()
        written.close()
        ends.close()
        self.stdout = os.fdopen(os.dup(read.fileno()), "rb")
        read.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.pid and self._process.is_alive():
            os.kill(self._process.pid, number)


def _dbt(arguments: list[str], environment: dict[str, str], cwd: Path, output: Connection, ends: Connection) -> None:
    """dbt as `orchestration.warehouse.child` runs it: it ends with the process that started it."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output.fileno(), stream.fileno())
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["dbt", *arguments]
    threading.Thread(target=_end_with, args=(ends,), daemon=True).start()
    try:
        run_dbt(arguments)
    finally:
        atexit._run_exitfuncs()


def _end_with(ends: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        ends.recv_bytes()
    os.kill(os.getpid(), signal.SIGKILL)
