"""A DuckDB file that is made anew in the place of another one.

Belongs here: its name while it is made, and what is left of it. Does not: what is in it. Not by `atomic_write`: DuckDB
makes the file itself, and a log beside it, so that no lock of a writer would be held on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def staged_for(path: Path) -> Path:
    """Where the file is while it is made. There is one maker at a time: the one that holds the lock over builds."""
    return path.with_name(f".{path.name}.building")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path for the new file, which replaces the one at `path` when the block ends well; else nothing is left of it.

    The block closes the database after a checkpoint: closing would not report that it failed. OSError.
    """
    staged = staged_for(path)
    remove(staged)  # of a maker that was killed
    try:
        yield staged
        os.replace(staged, path)
    finally:
        remove(staged)


def remove(path: Path) -> None:
    """The file and its log, where there are any. OSError."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
