"""The end of a process, without freeing each object first, which takes a second after a run of many markets.

Belongs here: ending as Python does, but for that. Does not: what a process has to finish before it ends.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Final, NoReturn

# As Python itself ends where what was printed cannot be written.
_UNWRITTEN: Final = 120


def leave(end: SystemExit) -> NoReturn:
    """End the process with this exit code; a text in its place is printed by Python, which then ends it."""
    if not (end.code is None or isinstance(end.code, int)):
        raise end
    code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]  # what Python calls first: idle pools end, and threads are joined
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # a pipe that its reader has closed, a full disk, a closed stream
            code = code or _UNWRITTEN
    os._exit(code)
