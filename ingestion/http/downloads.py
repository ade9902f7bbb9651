"""Files that several tasks of one run need: each is downloaded once, and kept until the last of the tasks is done.

Belongs here: counting which tasks need a file, and keeping it as long. Does not: which files a task needs
(`ingestion.archive`) or the download itself (`ingestion.http.fetch`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ingestion.http.fetch import Archive, Download, Proof


class SharedDownloads:
    """The downloads of one run into `folder`. Safe to share between threads.

    `wanted`: the keys that each task may request. A key that a single task needs is not kept at all.
    """

    def __init__(self, wanted: Iterable[Iterable[str]], folder: Path) -> None:
        self._wanted = Counter(key for keys in wanted for key in set(keys))
        self._folder = folder
        self._lock = threading.Lock()
        self._key_locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, tuple[Proof, Download]] = {}
        self._count = 0

    def download(self, key: str, proof: Proof, archive: Archive, folder: Path) -> tuple[Download, bool]:
        """The file, in `folder` unless other tasks need it too, and whether it was downloaded just now."""
        with self._lock:
            if self._wanted[key] < 2 and key not in self._kept:
                key_lock = None
            else:
                key_lock = self._key_locks.setdefault(key, threading.Lock())
        if key_lock is None:
            return archive.download(key, proof, folder), True
        with key_lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == proof:
                return kept[1], False
            with self._lock:
                self._count += 1
                kept_in = self._folder / str(self._count)
            kept_in.mkdir()
            download = archive.download(key, proof, kept_in)
            self._kept[key] = (proof, download)
            return download, True

    def release(self, keys: Iterable[str]) -> None:
        """A task that needed these keys is done; a file that no other task needs is deleted."""
        with self._lock:
            for key in set(keys):
                self._wanted[key] -= 1
                kept = self._kept.pop(key, None) if self._wanted[key] <= 0 else None
                if kept is not None:
                    kept[1].path.unlink(missing_ok=True)
