"""Staying within a venue's limits: how much of a rate limit is used, and which venues have banned this address.

Belongs here: counting weight per window, and the registry of bans. Does not: sending, or reading a venue's errors.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from ingestion.http.values import Limit

# Other clients at this address use the same limit, and a request may reach the venue in the next window.
_SHARE: Final = Decimal("0.9")


Replacing = Callable[[Path], AbstractContextManager[Path]]


class Budget:
    """The remainder of one limit: never more than its weight in any window, including that of other clients.

    `clock`: seconds, monotonic. `sleep`: waits that many seconds.
    """

    def __init__(self, limit: Limit, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock, self._sleep = clock, sleep
        self._spent: deque[tuple[float, int]] = deque()
        self.limit = limit

    def spend(self, weight: int) -> None:
        """Wait until `weight` fits into the window that ends now, and count it."""
        ceiling = max(int(self.limit.weight * _SHARE), weight)
        while self.used() + weight > ceiling:
            oldest, _ = self._spent[0]
            self._sleep(max(0.01, oldest + self.limit.seconds - self._clock()))
        self._spent.append((self._clock(), weight))

    def used(self) -> int:
        """The weight counted in the window that ends now."""
        since = self._clock() - self.limit.seconds
        while self._spent and self._spent[0][0] <= since:
            self._spent.popleft()
        return sum(weight for _, weight in self._spent)

    def reported(self, used: int) -> None:
        """The venue reports `used`. What exceeds our own count was used by other clients here, and counts too."""
        beyond = used - self.used()
        if beyond > 0:
            self._spent.append((self._clock(), beyond))


class BanRegistry:
    """Which venues have refused this address until when, kept in a file, so that the next run sends no request to them.

    `path` None: kept by this object only. `replacing`: a file's atomic replacement (`ingestion.raw.durable`, which this
    package may not import); without it the file is read and not written.
    """

    def __init__(self, path: Path | None = None, replacing: Replacing | None = None) -> None:
        self._path, self._replacing = path, replacing
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, str]] = {}

    def active(self, whose: str, now: datetime) -> str | None:
        """The sentence of a ban that has not ended. `whose`: a venue at an address."""
        with self._lock:
            until, sentence = self._read().get(whose, (now, ""))
        return f"{sentence} (no further request before {until:%Y-%m-%d %H:%M} UTC)" if until > now else None

    def record(self, whose: str, until: datetime, sentence: str) -> None:
        with self._lock:
            self._known = {**self._read(), whose: (until, sentence)}
            if self._path is None or self._replacing is None:
                return
            facts = {who: {"until": end.isoformat(), "sentence": why} for who, (end, why) in self._known.items()}
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._replacing(self._path) as staged:
                    staged.write_text(json.dumps(facts, indent=1))
            except OSError:
                pass  # this process knows it; that the folder is not writable is reported elsewhere

    def _read(self) -> dict[str, tuple[datetime, str]]:
        if self._path is None or not self._path.is_file():
            return self._known
        try:
            facts = json.loads(self._path.read_text())
            read = {w: (datetime.fromisoformat(f["until"]), str(f["sentence"])) for w, f in facts.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return self._known
        return {**read, **self._known}
