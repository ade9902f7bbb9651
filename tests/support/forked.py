"""Commands in processes of their own, forked from one process that has imported what they import.

Belongs here: starting such a process with its own environment, folder and output. Does not: which commands.

Importing Dagster, dbt and Great Expectations takes ten seconds of CPU, more than half of a small run. Each test process
imports them once, in Python's own fork server, and every command starts from there with nothing of another one's: its
settings, DuckDB, pools of threads and open files are made after the fork. What a person starts is tried by the demo's
and the UI's tests, which start new processes.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_FORKED = multiprocessing.get_context("forkserver")
_PRELOADED = [
    "tests.support.as_a_program",
    "orchestration.definitions",
    "orchestration.cli.app",
    "altair",
    "great_expectations",
    "dbt.cli.main",
    "tests.support.bundled",
]
_FORKED.set_forkserver_preload(_PRELOADED)


def start_server() -> None:
    """Start the process to fork from now, before another module gives Python's one fork server less to import."""
    _FORKED.set_forkserver_preload(_PRELOADED)
    process = _FORKED.Process(target=int)
    process.start()
    process.join()


def completed(
    main: Callable[[], object], arguments: Sequence[str], environment: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """`main()` as the process that `arguments` would start, once it has ended: exit code, standard output and error."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _FORKED.Process(target=_command, args=(main, [*arguments], dict(environment), cwd, out, err))
        process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess([*arguments], process.exitcode, out.read_text(), err.read_text())


def _command(
    main: Callable[[], object], arguments: list[str], environment: dict[str, str], cwd: Path, out: Path, err: Path
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
    try:
        main()
    finally:
        # A process of this kind ends without them; a command's own would have run.
        atexit._run_exitfuncs()
