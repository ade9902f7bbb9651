"""Files that are written safely: replaced atomically, and on the disk when they must be.

Belongs here: replacing a file without a moment in which a reader sees half of it; fsync, of files and of folders.
Does not: what is written, or where.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk: a new name is there only once its folder is. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """A hidden path beside `target` to write to; it replaces `target` when the block ends well, else it is removed.

    A reader sees the old file or the new one. `durable`: the content is on the disk before the name is; the folder is
    the caller's to sync. The folder must exist. OSError.
    """
    staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        yield staged
        if durable:
            sync(staged)
        os.replace(staged, target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
