"""Database files that the last run left whole: what need not be read from end to end before it is used again.

Belongs here: the note beside such a file, and whether it still speaks of it. Does not: how a file is read, what follows
from damage (`orchestration.state.healing` and its callers).

The note is taken away when the file is about to be used, and written again once everything has ended well. So a file
that another program wrote, that was copied or restored, that a run left which failed, or that a machine left which went
down, is read from end to end first. A bit that flips under an unchanged time is found by DuckDB when it reads that
block; that run fails, and the next one reads everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ingestion.raw.durable import atomic_write, boot

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def note_whole(path: Path, stated: Mapping[str, Any] = _NOTHING) -> None:
    """The file is as it should be; nothing where there is none. `stated`: what JSON can hold, for who takes the note.
    OSError."""
    if path.is_file():
        with atomic_write(_note(path)) as staged:
            staged.write_text(json.dumps({"state": _state(path), "stated": dict(stated)}))


def is_whole(path: Path) -> bool:
    """Whether the file is as it was noted; the note stays."""
    return _noted(path) is not None


def take_note(path: Path) -> Mapping[str, Any] | None:
    """What was stated of the file, where it is as it was noted; None for any other. The note is gone in any case."""
    stated = _noted(path)
    try:
        _note(path).unlink()
    except OSError:
        return None
    return stated


def _noted(path: Path) -> Mapping[str, Any] | None:
    try:
        was = json.loads(_note(path).read_bytes())
        return dict(was["stated"]) if was["state"] == _state(path) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.whole")


def _state(path: Path) -> str:
    """The time of the inode's change cannot be set by a program: a copy with the times of its original has another."""
    found = path.stat()
    return f"{boot()} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
