"""A full disk, in a sentence: whatever library noticed it.

Belongs here: recognising that an error means a full disk, and which of the folders in use is full. Does not: reporting
it (`orchestration.cli`, `orchestration.runs`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

# SQLite, DuckDB, dbt and the operating system name it differently; SQLite's journal and DuckDB's own limit too.
_FULL: Final = re.compile(
    r"database or disk is full|No space left on device|Disk quota exceeded|Could not write all bytes|"
    r"the disk is full|not enough (?:free )?space|File too large|max_temp_directory_size",
    re.IGNORECASE,
)
# What SQLite states where it finds no room for its shared memory, and of a broken disk too: the free space decides.
_UNCERTAIN: Final = re.compile(r"disk I/O error", re.IGNORECASE)
_MIB: Final = 1024 * 1024


def means_full_disk(error: BaseException | str, folders: Sequence[Path] = ()) -> bool:
    """Whether an error, or one that caused it, or a text that a program left, is about a full disk.

    `folders`: those that were written to. Of an error that may mean something else as well, their free space decides.
    """
    texts = [error] if isinstance(error, str) else [str(one) for one in _chain(error)]
    numbers = [] if isinstance(error, str) else [one.errno for one in _chain(error) if isinstance(one, OSError)]
    if any(number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) for number in numbers) or any(map(_FULL.search, texts)):
        return True
    return any(map(_UNCERTAIN.search, texts)) and any(_free(folder) < _MIB for folder in folders)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def full_disk_sentence(what: str, folders: Sequence[Path]) -> str:
    """What could not be written, the folder with the least space, how much it has, and what to do."""
    place, free = min(((folder, _free(folder)) for folder in folders), key=lambda one: one[1])
    return (
        f"{what}: the disk is full: {place} has {free / _MIB:,.0f} MiB free; free some space there (files named "
        "*.damaged-* and sealed spool files may go), or point TAKER_STATE_DIR and TAKER_STORAGE_URL to a larger disk, "
        "then run the same command again. What was stored and published before stays"
    )


def _free(folder: Path) -> int:
    existing = next((one for one in (folder, *folder.parents) if one.exists()), Path(os.sep))
    try:
        return shutil.disk_usage(existing).free
    except OSError:
        return 0
