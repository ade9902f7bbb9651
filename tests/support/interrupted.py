"""A store whose process is killed in the middle: from one operation on nothing more happens, as after `kill -9`.

Belongs here: where the kill falls and what it leaves behind. Does not: what must hold afterwards.
"""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

from ingestion.raw.store import LocalStore


class Killed(BaseException):
    """No handler of an error may see it, as none sees a kill."""


class KilledStore(LocalStore):
    """Ends at its `after`-th change. `torn`: that change has begun, and leaves the half of a hidden file; else it is
    complete and its caller never learns of it."""

    def __init__(self, root: Path, *, after: int, torn: bool) -> None:
        super().__init__(root)
        self._left, self._torn, self._lock = after, torn, threading.Lock()
        self.is_dead = False

    def put_file(self, key: str, path: Path, *, durable: bool = False) -> None:
        with self._lock:
            if not self._ends(key, path.read_bytes()):
                super().put_file(key, path, durable=durable)
            self._die_at_zero()

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        with self._lock:
            stored = not self._ends(key, payload)
            if stored:
                stored = super().put_bytes(key, payload, only_if_absent=only_if_absent, durable=durable)
            self._die_at_zero()
            return stored

    def replace_bytes(self, key: str, payload: bytes, version: str | None) -> bool:
        with self._lock:
            stored = not self._ends(key, payload)
            if stored:
                stored = super().replace_bytes(key, payload, version)
            self._die_at_zero()
            return stored

    def delete(self, key: str) -> None:
        with self._lock:
            if not self._ends(key, b""):
                super().delete(key)
            self._die_at_zero()

    def get_version(self, key: str) -> tuple[bytes, str] | None:
        if self.is_dead:
            raise Killed
        return super().get_version(key)

    def _ends(self, key: str, payload: bytes) -> bool:
        """Count the change; True when it must not happen, or only by half."""
        if self.is_dead:
            raise Killed
        self._left -= 1
        if self._left > 0 or not self._torn:
            return False
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f".{target.name}.{uuid.uuid4().hex}.part").write_bytes(payload[: len(payload) // 2])
        return True

    def _die_at_zero(self) -> None:
        if self._left <= 0:
            self.is_dead = True
            raise Killed
