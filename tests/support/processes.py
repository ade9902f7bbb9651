"""Small processes that a test starts and kills.

Belongs here: a process that claims something of a state folder. Does not: `taker` itself
(`tests.support.commands`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PREAMBLE = """
import contextlib, os, sys, time
from pathlib import Path
from orchestration.config.paths import Paths
from orchestration.state.locks import Workplace
from orchestration.state.process import join, scratch
paths = Paths(Path(sys.argv[1]))
"""
HOLDS_THE_WAREHOUSE = "held = Workplace(paths); held.hold_warehouse(print, 'run-of-the-other')"
HAS_SCRATCH = "opened = scratch(paths); folder = opened.__enter__(); (folder / 'file').write_text('x')"


@dataclass(frozen=True)
class Started:
    """A process that runs until it is killed, and the identity by which the state folder knows it."""

    popen: subprocess.Popen[str]
    identity: str

    def kill(self) -> None:
        """As `kill -9` does; returns when it is gone."""
        self.popen.kill()
        self.popen.wait(30)


@contextmanager
def process(state: Path, *statements: str) -> Iterator[Started]:
    """A Python process that has run the statements, with `paths` of the state folder, and then does nothing."""
    program = "\n".join([_PREAMBLE, *statements, "print('ready', join(paths), flush=True)", "time.sleep(600)"])
    with subprocess.Popen([sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE, text=True) as popen:
        try:
            assert popen.stdout is not None
            line = popen.stdout.readline()
            assert line.startswith("ready"), f"the process is not ready: {line!r}"
            yield Started(popen, line.split()[1])
        finally:
            popen.kill()


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether the condition came true in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
