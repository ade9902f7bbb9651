"""Files that are written safely: replaced atomically, and on the disk when they must be.

Belongs here: replacing a file without a moment in which a reader sees half of it, and removing what killed writers left
of such files; fsync, of files and of folders. Does not: what is written, or where.

A writer holds a kernel lock on the hidden file it writes to, so that one without a lock is of a dead writer. Of a
writer of another boot, so perhaps of another host with the same folder, that alone is not believed: its file must also
be an hour old.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".part"
_LIVING_SECONDS: Final = 3600


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk: a new name is there only once its folder is. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Outrun(Exception):
    """Another writer was first: what it wrote stays."""


@contextmanager
def atomic_write(
    target: Path, *, durable: bool = False, put: Callable[[Path, Path], None] | None = None
) -> Iterator[Path]:
    """A hidden path beside `target` to write to; it replaces `target` when the block ends well, else it is removed.

    A reader sees the old file or the new one. `durable`: the content is on the disk before the name is; the folder is
    the caller's to sync. `put`: how it gets its place, by default `os.replace`. The folder must exist. The path is
    there and empty: write to it, do not replace it. OSError.
    """
    staged = target.with_name(f".{target.name}.{boot()}-{uuid.uuid4().hex}{_SUFFIX}")
    descriptor = _claimed(staged)
    try:
        yield staged
        if durable:
            sync(staged)
        (put or os.replace)(staged, target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def put_first(staged: Path, target: Path) -> None:
    """Give the file its name unless that is taken: Outrun. OSError."""
    try:
        os.link(staged, target)  # of several writers, one succeeds
    except FileExistsError:
        raise Outrun from None
    except OSError:  # a file system without links: the writers that take this lock take turns
        with exclusively(target.parent / ".first.lock"):
            if target.exists():
                raise Outrun from None
            os.replace(staged, target)
    else:
        staged.unlink()


@contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """Hold a kernel lock on the file, which is made and stays; the kernel releases it should this process die.

    On a file system without locks, no other process is kept out.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(folder: Path, *, deeply: bool = True) -> list[Path]:
    """Remove what killed writers left in the folder, and `deeply` below it; the files removed.

    Files of living writers stay, and so does what cannot be removed.
    """
    return _swept_of([str(folder)], deeply)


def sweep_beginning(folder: Path, names: Collection[str]) -> list[Path]:
    """The same of what is in the folder under a name that begins with one of these, and deeply below such folders."""
    beginnings = tuple(names)
    named = [entry for entry in _entries(str(folder)) if entry.name.startswith(beginnings)]
    left = [Path(entry.path) for entry in named if _is_left(entry)]
    below = [entry.path for entry in named if entry.is_dir(follow_symlinks=False)]
    return [*(part for part in left if _swept(part)), *_swept_of(below, deeply=True)]


def _swept_of(folders: list[str], deeply: bool) -> list[Path]:
    """A zone has some 100,000 folders: `Path.rglob` takes five times as long."""
    swept = []
    while folders:
        for entry in _entries(folders.pop()):
            if _is_left(entry):
                swept += [part for part in (Path(entry.path),) if _swept(part)]
            elif deeply and entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    return swept


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it has gone, or may not be read
        return []


def _is_left(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") and entry.name.endswith(_SUFFIX)


def _claimed(staged: Path) -> int:
    """The new file, open and locked until it is closed."""
    while True:
        descriptor = os.open(staged, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: its age alone is looked at
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # A sweep may have found it in the moment before it was locked.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), staged.stat()):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _swept(part: Path) -> bool:
    """Remove the file if no writer lives that may write it. It goes while it is locked here: a writer that opened it
    meanwhile waits for the lock, and then sees that it is gone.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(part, os.O_RDWR)
        try:
            if _is_abandoned(descriptor, part.name):
                part.unlink()
                return True
        finally:
            os.close(descriptor)
    return False


def _is_abandoned(descriptor: int, name: str) -> bool:
    """Whether no process has it locked, and it is of this boot or old. Locks it."""
    is_old = time.time() - os.fstat(descriptor).st_mtime > _LIVING_SECONDS
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return is_old
    return is_old or f".{boot()}-" in name


@cache
def boot() -> str:
    """What distinguishes this boot of this machine, short enough for a file's name."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:12]
    return f"{uuid.getnode():012x}"
