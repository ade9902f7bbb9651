"""A real disk that is really full: a tmpfs of its own, filled to the last page.

Belongs here: mounting, filling and making room. Does not: what is written to it. Mounting needs root: a test skips
where it is not permitted.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    folder: Path

    @property
    def _filler(self) -> Path:
        return self.folder / ".filler"

    def fill(self, *, but: int = 0) -> None:
        """Leave `but` bytes free."""
        state = os.statvfs(self.folder)
        free = state.f_bavail * state.f_frsize
        with self._filler.open("ab") as file:
            file.write(b"\0" * max(0, free - but))

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """A disk of that size, such as `2m`, at `folder`."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "taker-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
