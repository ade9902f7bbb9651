"""The one retry policy for HTTP: what is worth repeating, how long to pause, and when to stop trying.

Belongs here: retryable statuses, `Retry-After` and how much of it is waited for, exponential backoff, the circuit
breaker. Alerts may use them too. Does not: sending, the limits of one attempt (`ingestion.http.bounds`), or deciding
what an answer means.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import tenacity

T = TypeVar("T")

# Statuses after which the same request may succeed a moment later; 429 is rate limiting.
TEMPORARY_STATUSES: Final = frozenset({408, 425, 500, 502, 503, 504})
RETRYABLE_STATUSES: Final = TEMPORARY_STATUSES | {429}
# A server that requires a longer wait than this is not waited for: servers that mean it ask for a minute or two.
LONGEST_WAIT: Final = timedelta(minutes=5)
# For one object, the pauses between its attempts together: one longest wait, or several short ones.
MOST_PAUSES: Final = timedelta(minutes=5)
# For one server in one run: two longest waits. A run is started again more cheaply than it waits.
MOST_WAITING: Final = timedelta(minutes=10)
# A server that was given up is tried again after this long, by processes that live longer than a run.
_REST_SECONDS: Final = 300.0
# After so many objects in a row were given up, the archive counts as down.
_GIVEN_UP_IN_A_ROW: Final = 3
# The same processes wait anew after this long without a required pause.
_FORGET_SECONDS: Final = 3600.0
# Enough for three centuries: a longer number of seconds is cut, since it would exceed every calendar.
_MOST_DIGITS: Final = 10


class Retry(Exception):
    """One attempt failed in a way that another may not. `after`: the pause that the server requires, if any."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class GaveUp(Exception):
    """Every attempt failed, or no time is left for another; the text is the reason of the last one."""

    def __init__(self, reason: str, attempts: int) -> None:
        super().__init__(reason)
        self.attempts = attempts


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts with exponentially growing pauses; a pause that the server requires takes precedence.

    `first_pause`, `longest_pause`, `jitter`: seconds; the jitter is random and added to every pause. `most_pauses`: all
    pauses together; an attempt that could only follow a longer one is not made.
    """

    attempts: int
    first_pause: float = 0.5
    longest_pause: float = 60.0
    jitter: float = 0.0
    most_pauses: timedelta = MOST_PAUSES

    def run(
        self,
        attempt: Callable[[], T],
        sleep: Callable[[float], None] = time.sleep,
        left: Callable[[], float] = lambda: math.inf,
    ) -> T:
        """The result of the first attempt that raises no `Retry`. Raises GaveUp after the last one.

        `left`: the seconds that remain for everything; no attempt follows a pause that is longer.
        """
        backoff = tenacity.wait_exponential_jitter(
            multiplier=self.first_pause, max=self.longest_pause, jitter=self.jitter
        )

        def pause(state: tenacity.RetryCallState) -> float:
            required = getattr(state.outcome.exception() if state.outcome else None, "after", None)
            return float(backoff(state)) if required is None else float(required.total_seconds())

        def is_over(state: tenacity.RetryCallState) -> bool:
            pauses = state.idle_for + state.upcoming_sleep
            return (
                state.attempt_number >= self.attempts
                or pauses > self.most_pauses.total_seconds()
                or state.upcoming_sleep >= left()
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Retry),
            stop=is_over,
            wait=pause,
            sleep=sleep,
        )
        try:
            return retrying(attempt)
        except tenacity.RetryError as error:
            reason = error.last_attempt.exception()
            raise GaveUp(str(reason), error.last_attempt.attempt_number) from reason


class CircuitBreaker:
    """Opens after `threshold` requests in a row were given up: the server is down, not a single object unlucky.

    It closes again after `rest_seconds`. `reason`: why it is open, as the predicate of a sentence about the server.
    """

    def __init__(
        self, threshold: int, rest_seconds: float = _REST_SECONDS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold, self._rest_seconds, self._clock = threshold, rest_seconds, clock
        self._given_up_in_a_row = 0
        self._opened_at = 0.0
        self.reason = "is not answering"

    @property
    def is_open(self) -> bool:
        is_resting = self._clock() - self._opened_at < self._rest_seconds
        return self._given_up_in_a_row >= self._threshold and is_resting

    def succeeded(self) -> None:
        self._given_up_in_a_row = 0

    def gave_up(self, why: str = "") -> None:
        self.reason = f"is not answering ({why})" if why else "is not answering"
        self._given_up_in_a_row += 1
        self._opened_at = self._clock()

    def open(self, reason: str) -> None:
        """Open at once: the server has stated that no request is welcome."""
        self.reason = reason
        self._given_up_in_a_row = self._threshold
        self._opened_at = self._clock()


class Waiting:
    """The pauses that one server requires of one run: which of them are waited for, and what to report of them.

    Requests that wait at the same time count once. Safe to share between threads. `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        longest: timedelta = LONGEST_WAIT,
        most: timedelta = MOST_WAITING,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._longest, self._most, self._clock = longest.total_seconds(), most.total_seconds(), clock
        self._lock = threading.Lock()
        self._until = -math.inf
        self._spent = self._longest_required = 0.0
        self._count, self._is_refused = 0, False

    def grants(self, required: timedelta) -> bool:
        """Whether a pause is waited for: it is short enough, and the run has not waited too long already."""
        seconds = required.total_seconds()
        with self._lock:
            now = self._clock()
            if now - self._until > _FORGET_SECONDS:
                self._spent = 0.0
            more = max(0.0, now + seconds - max(now, self._until))
            self._count += 1
            self._longest_required = max(self._longest_required, seconds)
            if seconds > self._longest or self._spent + more > self._most:
                self._is_refused = True
                return False
            self._spent += more
            self._until = max(self._until, now + seconds)
            return True

    @property
    def notice(self) -> str | None:
        """What was required and what was done, as the predicate of a sentence about the server; None if nothing was."""
        with self._lock:
            if not self._spent and not self._is_refused:
                return None
            required = f"requested a pause of {self._longest_required:,.0f} s"
            required += f" ({self._count} times, the longest counts)" if self._count > 1 else ""
            waited = f"Taker waited {self._spent:,.0f} s"
            if not self._is_refused:
                return f"{required}; {waited}"
            return (
                f"{required}; {waited} and then stopped requesting, since a run waits {self._longest:,.0f} s at "
                f"once and {self._most:,.0f} s in all at most"
            )


@dataclass
class ServerHealth:
    """What a run knows of one server, shared by all clients that it opens for it; at first nothing.

    `has_served`: it has served an object. What it denies after that is absent, on a mirror that hides absence.
    `listing_fault`: why it could not be listed, in a few words.
    """

    breaker: CircuitBreaker = field(default_factory=lambda: CircuitBreaker(_GIVEN_UP_IN_A_ROW))
    waiting: Waiting = field(default_factory=Waiting)
    has_served: bool = False
    listing_fault: str = ""


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause of a Retry-After header: a number of seconds, or an HTTP date; None without a readable one."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text[:_MOST_DIGITS]))
    at = http_date(text)
    return None if at is None else max(timedelta(), at - now)


def http_date(header: str | None) -> datetime | None:
    """The instant of an HTTP date; None without a readable one."""
    if not header:
        return None
    try:
        at = parsedate_to_datetime(header)
        # A date without a zone is GMT. What lies at the ends of the calendar has no instant in UTC.
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
