"""The one retry policy for HTTP: what is worth repeating, how long to pause, and when to stop trying.

Belongs here: retryable statuses, `Retry-After`, exponential backoff, the circuit breaker. Alerts may use them too.
Does not: sending, or deciding what an answer means.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import tenacity

T = TypeVar("T")

# Statuses after which the same request may succeed a moment later; 429 is rate limiting.
TEMPORARY_STATUSES: Final = frozenset({408, 425, 500, 502, 503, 504})
RETRYABLE_STATUSES: Final = TEMPORARY_STATUSES | {429}
# A server that requires a longer wait than this is not waited for.
LONGEST_WAIT: Final = timedelta(minutes=5)
# Enough for three centuries: a longer number of seconds is cut, since it would exceed every calendar.
_MOST_DIGITS: Final = 10


class Retry(Exception):
    """One attempt failed in a way that another may not. `after`: the pause that the server requires, if any."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class GaveUp(Exception):
    """Every attempt failed; the text is the reason of the last one."""


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts with exponentially growing pauses; a pause that the server requires takes precedence.

    `first_pause`, `longest_pause`, `jitter`: seconds; the jitter is random and added to every pause.
    """

    attempts: int
    first_pause: float = 0.5
    longest_pause: float = 60.0
    jitter: float = 0.0

    def run(self, attempt: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
        """The result of the first attempt that raises no `Retry`. Raises GaveUp after the last one."""
        backoff = tenacity.wait_exponential_jitter(
            multiplier=self.first_pause, max=self.longest_pause, jitter=self.jitter
        )

        def pause(state: tenacity.RetryCallState) -> float:
            required = getattr(state.outcome.exception() if state.outcome else None, "after", None)
            return float(backoff(state)) if required is None else float(required.total_seconds())

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Retry),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=pause,
            sleep=sleep,
        )
        try:
            return retrying(attempt)
        except tenacity.RetryError as error:
            reason = error.last_attempt.exception()
            raise GaveUp(str(reason)) from reason


class CircuitBreaker:
    """Opens after `threshold` requests in a row were given up: the server is down, not a single object unlucky."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._given_up_in_a_row = 0

    @property
    def is_open(self) -> bool:
        return self._given_up_in_a_row >= self._threshold

    def succeeded(self) -> None:
        self._given_up_in_a_row = 0

    def gave_up(self) -> None:
        self._given_up_in_a_row += 1


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The pause of a Retry-After header: a number of seconds, or an HTTP date; None without a readable one."""
    text = (header or "").strip()
    if text.isdecimal():
        return timedelta(seconds=int(text[:_MOST_DIGITS]))
    at = http_date(text)
    return None if at is None else max(timedelta(), at - now)


def http_date(header: str | None) -> datetime | None:
    """The instant of an HTTP date; None without a readable one."""
    if not header:
        return None
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # a date without a zone is GMT
