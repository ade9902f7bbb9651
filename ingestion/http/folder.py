"""What is in the folders of an archive on this machine, without reading its files.

Belongs here: the folders in one, and one look at each folder that shows the state of its files. Does not: what is in
them (`ingestion.http.fetch`), an archive's listing on a server (`ingestion.http.listing`).
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

from ingestion.domain.errors import ArchiveUnavailable

# A file that changed just before it was looked at may change again within the clock's tick, and look the same.
_SETTLES_AFTER: Final = 2_000_000_000


def folders_in(path: Path) -> list[str]:
    """The names of the folders in this one, in order; none where it does not exist. ArchiveUnavailable."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error


class LookedAt:
    """The files below `root` as they were when a file of their folder was first requested. Safe to share between
    threads.

    `suffix`: of the files that count; the state of others is not known.
    """

    def __init__(self, root: Path, suffix: str = "") -> None:
        self._root, self._suffix = root, suffix
        self._folders: dict[str, dict[str, str | None] | None] = {}
        self._lock = threading.Lock()

    def state(self, key: str, *, looks: bool = True) -> str | None:
        """What changes whenever the file does, empty where there is none. None where that is not known: the folder
        could not be read, the file has changed in these seconds, or, without `looks`, its folder was not looked at yet.
        """
        folder, _, name = key.rpartition("/")
        if folder not in self._folders:
            if not looks:
                return None
            with self._lock:
                if folder not in self._folders:
                    self._folders[folder] = self._look(folder)
        found = self._folders[folder]
        return None if found is None else found.get(name, "")

    def _look(self, folder: str) -> dict[str, str | None] | None:
        now = time.time_ns()
        states: dict[str, str | None] = {}
        try:
            with os.scandir(self._root / folder) as entries:
                for entry in entries:
                    if entry.name.endswith(self._suffix):
                        found = entry.stat()
                        is_settled = now - found.st_ctime_ns > _SETTLES_AFTER
                        # The time of the change of the inode cannot be set: a copy that keeps the modification time of
                        # its original has another one.
                        state = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
                        states[entry.name] = state if is_settled else None
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError:
            return None
        return states
