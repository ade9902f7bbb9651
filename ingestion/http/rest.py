"""The client of a venue's REST API: stays within its limits, waits, retries, and stops at once when it is refused.

Belongs here: one client per venue and address; it reads back how much weight the venue has counted. Clock, sleep and
the sending itself can be injected. Does not: paths, error codes and texts (`ingestion.venues`), or which days are
requested (`ingestion.recent`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ingestion.domain.errors import UnknownToVenue, VenueRefused, VenueUnavailable
from ingestion.domain.exact_json import read_json
from ingestion.domain.redaction import redacted
from ingestion.http.bounds import REST
from ingestion.http.client import Answer, HttpClient, Parameters
from ingestion.http.limits import BanRegistry, Budget
from ingestion.http.retry import (
    LONGEST_WAIT,
    TEMPORARY_STATUSES,
    CircuitBreaker,
    GaveUp,
    Retry,
    RetryPolicy,
    Waiting,
    http_date,
    retry_after,
)
from ingestion.http.values import ApiError, ApiErrors, Limit
from ingestion.http.watch import Rejected, Unreachable

# After so many requests in a row were given up, the venue counts as down.
_GIVEN_UP_IN_A_ROW: Final = 2
# Assumed where a ban states no length: Binance's shortest lasts two minutes, Bybit's ten.
_DEFAULT_BAN: Final = timedelta(minutes=10)
_DEFAULT_WINDOW: Final = timedelta(minutes=1)
# A header with more is no count of requests.
_MOST_DIGITS: Final = 9
_RUN_AGAIN: Final = "run the same command again: what is done is not repeated"

Send = Callable[[str, Parameters], Answer]


class RestClient:
    """The client of one venue's API at one address; safe to share between threads, which then take turns.

    `errors`: the venue's limits, and how it reports errors. `refused_advice`, `symbol_advice`: what a person can do
    when the venue refuses this address, or knows no such symbol; the caller knows the settings. `attempts`: how often a
    request is sent that was not answered. `clock`: UTC now. `monotonic`, `sleep`: seconds. `send`: sends a request.
    """

    def __init__(
        self,
        venue: str,
        url: str,
        errors: ApiErrors,
        *,
        bans: BanRegistry | None = None,
        refused_advice: str = "use an address that you may read",
        symbol_advice: str = "check the symbol",
        attempts: int = 4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        send: Send | None = None,
    ) -> None:
        self.venue, self.url = venue, url.rstrip("/")
        self._whose = f"{venue} {redacted(self.url)}"  # it is written to the file of bans
        self._errors = errors
        self._refused_advice, self._symbol_advice = refused_advice, symbol_advice
        self._policy = RetryPolicy(attempts)
        self._breaker = CircuitBreaker(_GIVEN_UP_IN_A_ROW, clock=monotonic)
        self._waiting = Waiting(clock=monotonic)
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._client = HttpClient() if send is None else None
        self._send: Send = send or self._client.get  # type: ignore[union-attr]  # one of the two is there
        self._bans = bans or BanRegistry()
        self._budgets = {limit.path: Budget(limit, monotonic, sleep) for limit in errors.limits}
        self._lock = threading.RLock()
        self._ahead = timedelta()

    def get(self, path: str, parameters: Parameters, *, weight: int) -> Any:
        """The parsed JSON of the answer, its decimals exact.

        Raises VenueUnavailable when there was no good answer in `attempts`, VenueRefused when there will be none for
        now.
        """
        with self._lock:
            ban = self._bans.active(self._whose, self._clock())
            if ban:
                raise VenueRefused(ban)
            if self._breaker.is_open:
                raise VenueUnavailable(
                    f"{self.url} is not answering, so no further request was sent. Later, {_RUN_AGAIN}"
                )
            until = self._monotonic() + REST.seconds
            try:
                answer = self._policy.run(
                    lambda: self._attempt(path, parameters, weight), self._sleep, lambda: until - self._monotonic()
                )
            except GaveUp as reason:
                self._breaker.gave_up()
                raise VenueUnavailable(
                    f"{self.url}{path} could not be fetched in {reason.attempts} attempts ({reason}). "
                    f"Check the network, then {_RUN_AGAIN}"
                ) from reason
            except Rejected as reason:
                self._breaker.gave_up()
                raise VenueUnavailable(
                    f"{self.url}{path} was not accepted: {reason}. Check the network, then {_RUN_AGAIN}"
                ) from reason
            self._breaker.succeeded()
            return answer

    def allow(self, limit: Limit) -> None:
        """Replace the limit with the same path; what is spent stays spent."""
        with self._lock:
            known = self._budgets.get(limit.path)
            if known is None:
                self._budgets[limit.path] = Budget(limit, self._monotonic, self._sleep)
            else:
                known.limit = limit

    @property
    def answered_at(self) -> datetime:
        """The venue's clock now, by the time of its last answer; the local clock where it reported none."""
        return self._clock() + self._ahead

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _budget(self, path: str) -> Budget | None:
        fitting = [prefix for prefix in self._budgets if path.startswith(prefix)]
        return self._budgets[max(fitting, key=len)] if fitting else None

    def _attempt(self, path: str, parameters: Parameters, weight: int) -> Any:
        budget = self._budget(path)
        if budget is not None:
            budget.spend(weight)
        try:
            answer = self._send(f"{self.url}{path}", parameters)
        except Rejected:
            raise
        except Unreachable as error:
            raise Retry(str(error)) from error
        self._read_back(path, answer)
        return self._checked(path, answer)

    def _read_back(self, path: str, answer: Answer) -> None:
        """Take over what the venue reports of its clock and of the weight it has counted."""
        reported = http_date(answer.headers.get("date"))
        if reported is not None:
            # The header has whole seconds: a clock less than two seconds off counts as right.
            ahead = reported - self._clock()
            self._ahead = ahead if abs(ahead) >= timedelta(seconds=2) else timedelta()
        budget = self._budget(path)
        if budget is not None and budget.limit.used_header:
            used = answer.headers.get(budget.limit.used_header.lower(), "")
            if used.isascii() and used.isdigit() and len(used) <= _MOST_DIGITS:
                budget.reported(int(used))

    def _checked(self, path: str, answer: Answer) -> Any:
        """The parsed answer when it is a good one. Raises Retry when another may come, else the final error."""
        parsed, is_json = _parsed(answer.body)
        error = self._errors.error_in(parsed) if is_json else None
        status, detail = answer.status, f": {error.sentence}" if error else ""
        kind = error.kind if error else None
        if status in (403, 418, 451) or kind == "refused":
            raise self._refusal(path, answer, parsed, detail)
        if status == 429 or kind == "rate_limited":
            raise self._rate_limited(path, answer, parsed, detail)
        if status in TEMPORARY_STATUSES or kind == "temporary":
            raise Retry(f"HTTP {status}{detail}")
        if error or status != 200:
            raise self._rejection(path, status, error)
        if not is_json:
            raise Retry(f"the answer is not JSON: {answer.body[:60]!r}")
        return parsed

    def _refusal(self, path: str, answer: Answer, parsed: Any, detail: str) -> VenueRefused:
        """The venue has banned this address, or does not serve it."""
        status = answer.status
        if status == 418:
            return self._banned(
                f"{self.venue} has banned this address (HTTP 418{detail}) {self._for_how_long(answer, parsed)}; "
                "each further request would extend the ban",
                self._retry_after(answer, parsed) or _DEFAULT_BAN,
            )
        why = (
            "the venue does not serve this location"
            if status == 451
            else "its firewall blocks this address, for too many requests or for its location"
        )
        where = f"{self.url}{path}"
        return self._banned(
            f"{where} was refused with HTTP {status}{detail}: {why}; {self._refused_advice}", _DEFAULT_BAN
        )

    def _rate_limited(self, path: str, answer: Answer, parsed: Any, detail: str) -> Retry | VenueRefused:
        """Too many requests: worth waiting for, unless the venue requires a very long wait."""
        required = self._retry_after(answer, parsed)
        if required is not None and (required > LONGEST_WAIT or not self._waiting.grants(required)):
            return self._banned(
                f"{self.venue} has rate limited this address (HTTP {answer.status}{detail}) "
                f"{self._for_how_long(answer, parsed)}",
                required,
            )
        budget = self._budget(path)
        window = timedelta(seconds=budget.limit.seconds) if budget else _DEFAULT_WINDOW
        return Retry(f"HTTP {answer.status}{detail or ': too many requests'}", required or window)

    def _rejection(self, path: str, status: int, error: ApiError | None) -> VenueUnavailable:
        """The request itself is wrong; repeating it does not help."""
        detail = f": {error.sentence}" if error else ""
        is_unknown = error is not None and error.kind == "unknown_symbol"
        advice = f"; {self._symbol_advice}" if is_unknown or (error and error.may_be_symbol) else ""
        kind = UnknownToVenue if is_unknown else VenueUnavailable
        return kind(f"{self.url}{path} was answered with HTTP {status}{detail}{advice}")

    def _banned(self, sentence: str, lasts: timedelta) -> VenueRefused:
        self._bans.record(self._whose, self._clock() + lasts, sentence)
        return VenueRefused(sentence)

    def _retry_after(self, answer: Answer, parsed: Any) -> timedelta | None:
        """The required wait: by the Retry-After header, or by the end of a ban that the answer states."""
        by_header = retry_after(answer.headers.get("retry-after"), self.answered_at)
        if by_header is not None:
            return by_header
        at = self._errors.ban_end_in(parsed)
        return None if at is None else max(timedelta(), at - self.answered_at)

    def _for_how_long(self, answer: Answer, parsed: Any) -> str:
        lasts = self._retry_after(answer, parsed)
        if lasts is None:
            return "and does not state for how long"
        return f"for {_in_words(lasts)}, until {self._clock() + lasts:%Y-%m-%d %H:%M:%S} UTC"


def _parsed(body: bytes) -> tuple[Any, bool]:
    """The JSON with exact decimals, and whether it was JSON at all."""
    try:
        return read_json(body), True
    except ValueError:
        return None, False


def _in_words(lasts: timedelta) -> str:
    seconds = int(lasts.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
