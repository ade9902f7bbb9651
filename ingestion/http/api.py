"""A venue's REST api, asked politely: budget, waiting, retrying, judging of answers.

Belongs here: one client per venue that stays under the published limits, reads back how much the venue has counted,
waits when told to, and stops at once when it is refused. Clock, sleep and the sending itself can be given.
Does not: which paths there are and how answers read (`ingestion.venues`), or what is asked for (`ingestion.recent`).
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import urllib3

from ingestion.domain.errors import UnknownToVenue, VenueRefused, VenueUnavailable
from ingestion.venues.venue import Complaint, Limit

# Others on this address use the same budget, and a request may reach the venue in the next window.
_SHARE: Final = Decimal("0.9")
_LONGEST_WAIT: Final = 300.0
_WORTH_RETRYING: Final = frozenset({408, 425, 500, 502, 503, 504})
# So many questions given up one after the other mean that the venue is down.
_GIVEN_UP_IN_A_ROW: Final = 2
# A ban without a length: Binance's shortest lasts two minutes, Bybit's ten.
_UNSAID_BAN: Final = timedelta(minutes=10)
_TAKER_REST_OFF: Final = "set TAKER_REST=off to do without today, or TAKER_VENUE_URLS to an address that you may read"
_RUN_AGAIN: Final = "run the same command again: what is done is not repeated"


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, headers by their lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Parameters = Mapping[str, str | int]
Send = Callable[[str, Parameters], Answer]


class Unreachable(Exception):
    """No answer came: the reason in a few words."""


class HttpSender:
    """Sends a GET over HTTP(S), with a pool of connections. `timeout`: seconds to connect, and to wait for bytes."""

    def __init__(self, timeout: float = 20.0) -> None:
        self._pool = urllib3.PoolManager(
            maxsize=4, timeout=urllib3.Timeout(timeout), retries=False, headers={"User-Agent": "taker"}
        )

    def __call__(self, url: str, parameters: Parameters) -> Answer:
        fields = {name: str(value) for name, value in parameters.items()}
        try:
            response = self._pool.request("GET", url, fields=fields)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cause = getattr(error, "reason", None) or error
            raise Unreachable(f"{type(cause).__name__}: {str(cause).partition(': ')[2] or cause}") from error
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.data)

    def close(self) -> None:
        self._pool.clear()


class Budget:
    """What may still be spent of one limit: never more than its weight in any window, whoever spends it.

    `clock`: seconds, only ever growing. `sleep`: waits that many seconds.
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

    def told(self, used: int) -> None:
        """The venue has counted `used`. Where that is more than we have, others ask from here too: it counts."""
        beyond = used - self.used()
        if beyond > 0:
            self._spent.append((self._clock(), beyond))


class Refusals:
    """Who has refused us until when, remembered in a file, so that the next run does not ask a venue that banned us.

    `path` None: remembered by this object only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, str]] = {}

    def of(self, whose: str, now: datetime) -> str | None:
        """The sentence of a refusal that still holds. `whose`: a venue at an address."""
        with self._lock:
            until, sentence = self._read().get(whose, (now, ""))
        return f"{sentence} (not asked again before {until:%Y-%m-%d %H:%M} UTC)" if until > now else None

    def remember(self, whose: str, until: datetime, sentence: str) -> None:
        with self._lock:
            self._known = {**self._read(), whose: (until, sentence)}
            if self._path is None:
                return
            facts = {who: {"until": until.isoformat(), "sentence": said} for who, (until, said) in self._known.items()}
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(json.dumps(facts, indent=1))
            except OSError:
                pass  # this process knows, and whoever cannot write there has been told by others

    def _read(self) -> dict[str, tuple[datetime, str]]:
        if self._path is None or not self._path.is_file():
            return self._known
        try:
            facts = json.loads(self._path.read_text())
            read = {w: (datetime.fromisoformat(f["until"]), str(f["sentence"])) for w, f in facts.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return self._known
        return {**read, **self._known}


class Api:
    """The client of one venue's api at one address; safe to share between threads, which then wait for each other.

    `complaint`: what a parsed answer complains of (`VenueApi.complaint`). `attempts`: how often a question is asked
    that was not answered. `clock`: UTC now. `monotonic`, `sleep`: seconds. `send`: how a question reaches the venue.
    """

    def __init__(
        self,
        venue: str,
        url: str,
        limits: Sequence[Limit],
        complaint: Callable[[Any], Complaint | None],
        *,
        refusals: Refusals | None = None,
        attempts: int = 4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        send: Send | None = None,
    ) -> None:
        self.venue, self.url = venue, url.rstrip("/")
        self._whose = f"{venue} {self.url}"
        self._complaint, self._attempts = complaint, attempts
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._sender = HttpSender() if send is None else None
        self._send: Send = send or self._sender  # type: ignore[assignment]  # one of the two is there
        self._refusals = refusals or Refusals()
        self._budgets = {limit.path: Budget(limit, monotonic, sleep) for limit in limits}
        self._lock = threading.RLock()
        self._ahead = timedelta()
        self._given_up_in_a_row = 0

    def get(self, path: str, parameters: Parameters, *, weight: int) -> Any:
        """The parsed JSON of the answer, its decimals exact.

        Raises VenueUnavailable when no good answer came in `attempts`, VenueRefused when none will come for now.
        """
        with self._lock:
            known = self._refusals.of(self._whose, self._clock())
            if known:
                raise VenueRefused(known)
            if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
                raise VenueUnavailable(
                    f"{self.url} is not answering, so nothing more was asked of it. Later, {_RUN_AGAIN}"
                )
            reason = ""
            for attempt in range(self._attempts):
                budget = self._budget(path)
                if budget is not None:
                    budget.spend(weight)
                try:
                    answer = self._send(f"{self.url}{path}", parameters)
                except Unreachable as error:
                    reason, wait = str(error), None
                else:
                    done, reason, wait, parsed = self._judged(path, answer)
                    if done:
                        self._given_up_in_a_row = 0
                        return parsed
                if attempt + 1 < self._attempts:
                    self._sleep(2.0**attempt / 2 if wait is None else wait)
            self._given_up_in_a_row += 1
            raise VenueUnavailable(
                f"{self.url}{path} could not be had in {self._attempts} attempts ({reason}). "
                f"Check the network, then {_RUN_AGAIN}"
            )

    def allow(self, limit: Limit) -> None:
        """From now on this limit holds in place of the one with the same path; what is spent stays spent."""
        with self._lock:
            known = self._budgets.get(limit.path)
            if known is None:
                self._budgets[limit.path] = Budget(limit, self._monotonic, self._sleep)
            else:
                known.limit = limit

    @property
    def answered_at(self) -> datetime:
        """The venue's clock now, as its last answer told the time; ours where it did not."""
        return self._clock() + self._ahead

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()

    def _budget(self, path: str) -> Budget | None:
        fitting = [prefix for prefix in self._budgets if path.startswith(prefix)]
        return self._budgets[max(fitting, key=len)] if fitting else None

    def _judged(self, path: str, answer: Answer) -> tuple[bool, str, float | None, Any]:
        """(answered, why not, seconds to wait if the venue said so, the parsed answer); raises when it is final."""
        self._read_back(path, answer)
        status, where = answer.status, f"{self.url}{path}"
        parsed, is_json = _parsed(answer.body)
        found = self._complaint(parsed) if is_json else None
        said = f": {found.sentence}" if found else ""
        if status == 418:
            raise self._refused(
                f"{self.venue} has banned this address (HTTP 418{said}) {self._for_how_long(answer, parsed)}; "
                "each further request would make the ban longer",
                self._retry_after(answer, parsed) or _UNSAID_BAN,
            )
        if status in (403, 451) or (found and found.kind == "refused"):
            why = (
                "the venue does not serve this place"
                if status == 451
                else "its firewall keeps this address out, for too many requests or for where it is"
            )
            raise self._refused(f"{where} was refused with HTTP {status}{said}: {why}; {_TAKER_REST_OFF}", _UNSAID_BAN)
        if status == 429 or (found and found.kind == "too_many"):
            asked = self._retry_after(answer, parsed)
            if asked is not None and asked.total_seconds() > _LONGEST_WAIT:
                raise self._refused(
                    f"{self.venue} wants to be left alone (HTTP {status}{said}) {self._for_how_long(answer, parsed)}",
                    asked,
                )
            budget = self._budget(path)
            window = budget.limit.seconds if budget else 60.0
            return (
                False,
                f"HTTP {status}{said or ': too many requests'}",
                asked.total_seconds() if asked else window,
                None,
            )
        if status in _WORTH_RETRYING or (found and found.kind == "busy"):
            return False, f"HTTP {status}{said}", None, None
        if found or status != 200:
            kind = UnknownToVenue if found and found.kind == "unknown" else VenueUnavailable
            raise kind(f"{where} was answered with HTTP {status}{said}")
        if not is_json:
            return False, f"the answer is not JSON: {answer.body[:60]!r}", None, None
        return True, "", None, parsed

    def _read_back(self, path: str, answer: Answer) -> None:
        """Take over what the venue says of time and of the weight it has counted."""
        told = _http_date(answer.headers.get("date"))
        if told is not None:
            # The header has whole seconds: a clock less than two seconds off counts as right.
            ahead = told - self._clock()
            self._ahead = ahead if abs(ahead) >= timedelta(seconds=2) else timedelta()
        budget = self._budget(path)
        if budget is not None and budget.limit.used_header:
            used = answer.headers.get(budget.limit.used_header.lower(), "")
            if used.isdigit():
                budget.told(int(used))

    def _refused(self, sentence: str, lasts: timedelta) -> VenueRefused:
        self._refusals.remember(self._whose, self._clock() + lasts, sentence)
        return VenueRefused(sentence)

    def _retry_after(self, answer: Answer, parsed: Any) -> timedelta | None:
        """How long we are told to wait: by the Retry-After header, or by a time in the text of the answer."""
        header = answer.headers.get("retry-after", "").strip()
        if header.isdigit():
            return timedelta(seconds=int(header))
        at = _http_date(header) or _banned_until(parsed)
        return max(timedelta(), at - self.answered_at) if at else None

    def _for_how_long(self, answer: Answer, parsed: Any) -> str:
        lasts = self._retry_after(answer, parsed)
        if lasts is None:
            return "and does not say for how long"
        return f"for {_spoken(lasts)}, until {self._clock() + lasts:%Y-%m-%d %H:%M:%S} UTC"


def _parsed(body: bytes) -> tuple[Any, bool]:
    """The JSON with exact decimals, and whether it was JSON at all."""
    try:
        return json.loads(body, parse_float=Decimal), True
    except ValueError:
        return None, False


def _http_date(header: str | None) -> datetime | None:
    if not header:
        return None
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # a date that names no zone is GMT


def _banned_until(parsed: Any) -> datetime | None:
    """Binance writes `… banned until 1790000000000 …`, in milliseconds."""
    said = str(parsed.get("msg", "")) if isinstance(parsed, dict) else ""
    digits = said.partition("until ")[2].strip().split(" ")[0].rstrip(".")
    return datetime.fromtimestamp(int(digits) / 1000, UTC) if digits.isdigit() and len(digits) == 13 else None


def _spoken(lasts: timedelta) -> str:
    seconds = int(lasts.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
