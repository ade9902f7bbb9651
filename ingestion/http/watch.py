"""One request under its limits: how long it may still wait for bytes, and how many may still arrive.

Belongs here: counting time and bytes, and the errors that state which limit was exceeded. Does not: the limits
themselves (`ingestion.http.bounds`), or the sockets that obey them (`ingestion.http.sockets`).

A time-out of a socket bounds one read. A server that sends a byte before each of them expires would hold a worker for
ever, so the watch of its request limits every read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from ingestion.http.bounds import MOST_HEADER_BYTES, Bounds

# A body in chunks of one byte needs six bytes for each.
_CHUNK_OVERHEAD: Final = 8
_SLACK: Final = 64 << 10


class Unreachable(Exception):
    """The request was not answered: the reason in a few words. Another attempt may succeed."""


class Rejected(Unreachable):
    """The server answers, but with what is not accepted from it. Another attempt would get the same."""


class Untrusted(Rejected):
    """The certificate of the server is not accepted."""


class TooSlow(Unreachable, TimeoutError):
    """The server takes longer than a limit allows. A TimeoutError, so that it passes through urllib3 as one."""


class TooLarge(Rejected, OSError):
    """The server sends more than a limit allows. An OSError for the same reason."""


class Watch:
    """The limits of one attempt, at work. `seconds`: what is left for this attempt, if less than its limit.

    Silence and throughput count while a read waits: a reader that is slow itself is not the server's fault. `clock`:
    seconds, monotonic. Used by one thread.
    """

    def __init__(
        self, bounds: Bounds, seconds: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bounds = bounds
        self.fault: Unreachable | None = None
        self._clock = clock
        self._began = clock()
        self._seconds = bounds.attempt_seconds if seconds is None else min(bounds.attempt_seconds, seconds)
        self._answered = False
        self._silence = 0.0
        self._may_arrive = MOST_HEADER_BYTES
        self._window_waited, self._window_bytes = 0.0, 0

    def patience(self) -> float:
        """How many seconds the next read may wait. Raises TooSlow when none is left."""
        now, bounds = self._clock(), self.bounds
        left = {
            "silence": bounds.silence_seconds - self._silence,
            "total": self._began + self._seconds - now,
        }
        if not self._answered:
            left["answer"] = self._began + bounds.answer_seconds - now
        elif bounds.floor:
            left["floor"] = bounds.floor_seconds - self._window_waited
        kind = min(left, key=left.__getitem__)
        if left[kind] > 0:
            return left[kind]
        raise self._failed(TooSlow(self._too_slow(kind)))

    def waited(self, seconds: float, count: int) -> None:
        """A read ended after `seconds` with `count` bytes. Raises TooLarge, or TooSlow below the floor."""
        self._window_waited += seconds
        self._silence = 0.0 if count else self._silence + seconds
        self._window_bytes += count
        self._may_arrive -= count
        if self._may_arrive < 0:
            what = "more than it declares" if self._answered else "headers without end"
            raise self._failed(TooLarge(f"the server sends {what}"))
        bounds = self.bounds
        if self._answered and bounds.floor and self._window_waited >= bounds.floor_seconds:
            if self._window_bytes < bounds.floor * self._window_waited:
                raise self._failed(TooSlow(self._too_slow("floor")))
            self._window_waited, self._window_bytes = 0.0, 0

    def requested(self) -> None:
        """A request is sent, perhaps after a redirect: what follows are headers. Time runs on."""
        self._answered = False
        self._may_arrive = MOST_HEADER_BYTES

    def answered(self) -> None:
        """The headers are there: what follows is the body."""
        self._answered = True
        self._window_waited, self._window_bytes = 0.0, 0

    def expect(self, count: int) -> None:
        """The reader wants `count` more bytes of the body, and no more may arrive before it wants others."""
        self._may_arrive = count * _CHUNK_OVERHEAD + _SLACK

    def _too_slow(self, kind: str) -> str:
        bounds = self.bounds
        return {
            "silence": f"the server sent nothing for {bounds.silence_seconds:g} s",
            "total": f"the answer was not complete after {self._seconds:.4g} s",
            "answer": f"the server did not answer within {bounds.answer_seconds:g} s",
            "floor": f"the server sent less than {bounds.floor:,} bytes/s for {bounds.floor_seconds:g} s",
        }[kind]

    def _failed(self, fault: Unreachable) -> Unreachable:
        self.fault = fault
        return fault


_CURRENT: ContextVar[Watch | None] = ContextVar("taker_watch", default=None)


def current_watch() -> Watch | None:
    """The watch of the request that this thread is waiting for."""
    return _CURRENT.get()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Sockets that this thread reads from obey `watch`."""
    token = _CURRENT.set(watch)
    try:
        yield
    finally:
        _CURRENT.reset(token)
