"""A lock that the kernel holds for a process: gone the moment the process is, however it ends.

Belongs here: taking flock on a file, and whether another process has it. Does not: waiting and its messages
(`orchestration.state.locks`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """An open file that holds the lock of `path`, or None while another has it. Closing it releases. OSError.

    A child process does not inherit it: Python opens files close-on-exec.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        # Between opening and locking, its former owner may have removed the file: then this lock excludes no process.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process, or another part of this one, holds the lock of `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
