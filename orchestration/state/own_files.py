"""Files whose content is run: only this user, or the machine's administrator, may have written them.

Belongs here: writing them so, and refusing any other. Does not: what they hold (`orchestration.warehouse.parsed`,
`orchestration.warehouse.prepared`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from ingestion.raw.durable import atomic_write

_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MODE: Final = 0o644


def read_own(path: Path) -> bytes | None:
    """The content; None where there is no such file, or others may write to it or have."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            is_own = found.st_uid in (os.geteuid(), 0) and not found.st_mode & _WRITABLE_BY_OTHERS
            return file.read() if is_own else None
    except OSError:
        return None


def write_own(path: Path, content: bytes) -> None:
    """Replace the file, at once. OSError."""
    with atomic_write(path) as staged:
        staged.chmod(_MODE)  # whatever the umask leaves to a group
        staged.write_bytes(content)
