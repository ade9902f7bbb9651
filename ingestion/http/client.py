"""The one HTTP client: a pool of connections to any host, for whole answers and for streams.

Belongs here: the pool, its time-outs and redirects, and the reason of a failure in a few words.
Does not: retrying (`ingestion.http.retry`), or what an answer means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3

Parameters = Mapping[str, str | int]


class Unreachable(Exception):
    """The request was not answered: the reason in a few words."""


@dataclass(frozen=True)
class Answer:
    """A whole answer: HTTP status, headers by their lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Safe to share between threads. `timeout`: seconds to connect, and to wait for bytes."""

    def __init__(self, *, timeout: float = 20.0, connections: int = 4, redirects: int = 0) -> None:
        # Retrying is left to the policy, which must start a body again; urllib3 only follows redirects.
        follow = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=redirects)
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            retries=follow if redirects else False,
            headers={"User-Agent": "taker"},
        )

    def get(self, url: str, parameters: Parameters) -> Answer:
        """The whole answer. Raises Unreachable."""
        fields = {name: str(value) for name, value in parameters.items()}
        try:
            response = self._pool.request("GET", url, fields=fields)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(reason_of(error)) from error
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.data)

    @contextmanager
    def stream(self, method: str, url: str) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer before its body is read. What was packed when it was published stays packed, whatever the server
        declares as its content encoding. Raises what urllib3 and sockets raise."""
        response = self._pool.request(method, url, preload_content=False, decode_content=False)
        try:
            yield response
        finally:
            response.close()

    def close(self) -> None:
        self._pool.clear()


def reason_of(error: Exception) -> str:
    """A network error in a few words: urllib3 wraps the reason, and its own text repeats the whole address."""
    cause = getattr(error, "reason", None) or error
    return f"{type(cause).__name__}: {str(cause).partition(': ')[2] or cause}"
