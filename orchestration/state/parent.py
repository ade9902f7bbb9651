"""A child that ends with the process that started it, also when that one is killed.

Belongs here: what such a child does first. Does not: what it does then (`orchestration.warehouse.child`,
`orchestration.warehouse.audit.begun`).

On Linux the kernel kills the child the moment its parent is gone (PR_SET_PDEATHSIG, which the thread that starts the
child must outlive). Elsewhere, and should the kernel refuse, a thread notices within half a second that the parent is
another process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

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
