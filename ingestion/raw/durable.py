"""What must be on the disk before something else is forgotten.

Belongs here: fsync, of files and of folders. Does not: what is written, or where.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk: a new name is there only once its folder is. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
