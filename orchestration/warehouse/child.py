"""dbt as a child that ends with the process that started it: `python -P -m orchestration.warehouse.child build …`.

Belongs here: what makes a killed `taker run` take its dbt with it, which would go on writing the warehouse; and a child
that waits for its arguments. Does not: when dbt is started, and with which arguments
(`orchestration.warehouse.dbt`, `orchestration.warehouse.begun`).

On Linux the kernel kills the child the moment its parent is gone (PR_SET_PDEATHSIG, which the thread that starts dbt
must outlive: it waits for it). Elsewhere, and should the kernel refuse, a thread notices within half a second that the
parent is another process.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

from orchestration.state.leaving import leave
from orchestration.warehouse.parsed import import_dbt, load_parsed, run_dbt

# `-P`: the folder dbt is started in is no place for modules.
DBT_COMMAND: Final = (sys.executable, "-P", "-m", "orchestration.warehouse.child")
# In place of dbt's arguments: the path of the parsed project follows, and the arguments come on standard input.
WAITS: Final = "--wait-for-arguments"
_PR_SET_PDEATHSIG: Final = 1
_WATCHED_EVERY: Final = 0.5


def end_with_parent() -> None:
    """From now on, this process is killed when its parent ends, however that ends."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="taker-parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCHED_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)


def run_when_instructed(path: Path) -> None:
    """Import dbt and read the parsed project at `path`, then run dbt with the arguments, the environment and the folder
    that one line of standard input states as JSON. Nothing where it ends without a line."""
    import_dbt()
    loaded = {path: load_parsed(path)}
    if not (line := sys.stdin.buffer.readline()):
        return
    arguments, environment, folder = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = arguments
    run_dbt(arguments, loaded)


def main() -> None:
    end_with_parent()
    try:
        if sys.argv[1:2] == [WAITS]:
            run_when_instructed(Path(sys.argv[2]))
        else:
            run_dbt(sys.argv[1:])
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    main()
