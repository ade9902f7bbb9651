"""What the REST client and a venue's API definition exchange: limits, errors, and the two interfaces between them.

Belongs here: values and protocols that import nothing heavy, since venues are imported to parse a market's name.
Does not: sending (`ingestion.http.rest`), or any venue's error codes and texts (`ingestion.venues`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Limit:
    """A venue's rate limit for one address: `weight` in any window of `seconds`.

    `path`: applies to paths with this prefix; of several limits the longest prefix counts. `used_header`: the response
    header that reports how much of it is used, by any client at this address; empty where there is none.
    """

    path: str
    weight: int
    seconds: float
    used_header: str = ""


ErrorKind = Literal["temporary", "rate_limited", "refused", "unknown_symbol", "invalid_request"]


@dataclass(frozen=True)
class ApiError:
    """The error that an answer reports, in one sentence without a full stop.

    `kind`: `temporary`: the same request may succeed a moment later. `rate_limited`: too many requests, wait.
    `refused`: the venue does not serve this address. `unknown_symbol`: there is no such market. `invalid_request`:
    anything else about the request; repeating it does not help. `may_be_symbol`: an invalid symbol is a likely cause.
    """

    kind: ErrorKind
    sentence: str
    may_be_symbol: bool = False


class ApiErrors(Protocol):
    """How a venue's API limits its clients and reports errors: what the REST client needs to know of a venue."""

    @property
    def limits(self) -> Sequence[Limit]: ...

    def error_in(self, answer: Any) -> ApiError | None:
        """The error that a parsed answer reports; None for an answer without one."""
        ...

    def ban_end_in(self, answer: Any) -> datetime | None:
        """The end of a ban, UTC, where a parsed answer states it; None otherwise."""
        ...


class ApiClient(Protocol):
    """Sends requests to one venue's API: stays within limits, waits, retries and checks answers."""

    def get(self, path: str, parameters: Mapping[str, str | int], *, weight: int) -> Any:
        """The parsed JSON of the answer, its decimals exact. Raises VenueUnavailable or VenueRefused."""
        ...

    def allow(self, limit: Limit) -> None:
        """Replace the limit with the same path, since the venue itself has reported this one."""
        ...

    @property
    def answered_at(self) -> datetime:
        """The venue's clock at its last answer, UTC; the local clock before that, or where the venue reports none."""
        ...
