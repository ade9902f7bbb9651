"""The one HTTP client: a pool of connections to any host, for whole answers and for streams, within limits.

Belongs here: sending, which redirects are followed, the limits of an answer at work, and the reason of a failure in a
few words. Does not: retrying (`ingestion.http.retry`), the limits (`ingestion.http.bounds`), or what an answer means.

A user and password in an address are sent as HTTP Basic authentication, to that host alone.
"""

from __future__ import annotations

import http.client
import ssl
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import urllib3

from ingestion.domain.redaction import redacted
from ingestion.http.bounds import CONNECT_SECONDS, MOST_REDIRECTS, REST, Bounds
from ingestion.http.sockets import pool_manager
from ingestion.http.watch import Rejected, TooLarge, Unreachable, Untrusted, Watch, watching

Parameters = Mapping[str, str | int]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PORTS: Final = {"http": 80, "https": 443}
_BLOCK: Final = 1 << 20
# A server chooses what it redirects to; a message quotes no more of it.
_LONGEST_QUOTE: Final = 200
# zlib's marker for gzip and zlib alike.
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


@dataclass(frozen=True)
class Answer:
    """A whole answer: HTTP status, headers by their lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Incoming:
    """An answer whose body is still to be read: as it was published, whatever content encoding the server declares."""

    def __init__(self, response: urllib3.BaseHTTPResponse, watch: Watch) -> None:
        self.status, self.headers = response.status, response.headers
        self._response, self._watch = response, watch
        self._received = 0

    @property
    def declared_bytes(self) -> int | None:
        """The reported length of the body; None without a readable one."""
        text = (self.headers.get("Content-Length") or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def read(self, most: int) -> bytes:
        """The next bytes, fewer than `most` only at the end. Raises Unreachable, and TooLarge beyond the limit."""
        limit = self._watch.bounds.most_bytes
        self._watch.expect(most)
        with _in_few_words(self._watch):
            block: bytes = self._response.read(most, decode_content=False)
        self._received += len(block)
        if self._received > limit:
            raise TooLarge(f"the body has more than the {limit:,} bytes that such an object may have")
        return block

    def refuse_excess(self) -> None:
        """Raises TooLarge when the reported length alone exceeds the limit."""
        declared, limit = self.declared_bytes, self._watch.bounds.most_bytes
        if declared is not None and declared > limit:
            raise TooLarge(f"the server reports {declared:,} bytes, but such an object has at most {limit:,}")


class HttpClient:
    """Safe to share between threads.

    `redirect_hosts`: hosts that a redirect may lead to besides the requested one; `redirect_setting` is what messages
    call them.
    """

    def __init__(
        self,
        *,
        connections: int = 4,
        connect_seconds: float = CONNECT_SECONDS,
        redirect_hosts: Collection[str] = (),
        redirect_setting: str = "the allowed redirect hosts",
    ) -> None:
        self._pool = pool_manager(connections, connect_seconds)
        self._redirect_hosts = frozenset(redirect_hosts)
        self._redirect_setting = redirect_setting

    def get(self, url: str, parameters: Parameters, bounds: Bounds = REST) -> Answer:
        """The whole answer. No redirect is followed. Raises Unreachable."""
        watch = Watch(bounds)
        fields = {name: str(value) for name, value in parameters.items()}
        with watching(watch), self._sent("GET", url, watch, fields) as incoming:
            incoming.refuse_excess()
            blocks = []
            while block := incoming.read(_BLOCK):
                blocks.append(block)
            headers = {name.lower(): value for name, value in incoming.headers.items()}
            body = _unpacked(b"".join(blocks), headers.get("content-encoding", ""), bounds)
            return Answer(incoming.status, headers, body)

    @contextmanager
    def stream(self, method: str, url: str, bounds: Bounds, seconds: float | None = None) -> Iterator[Incoming]:
        """The answer before its body is read, once redirects are followed. `seconds`: what is left for this attempt.

        Raises Unreachable.
        """
        watch, seen = Watch(bounds, seconds), {url}
        with watching(watch):
            while True:
                with self._sent(method, url, watch) as incoming:
                    location = incoming.headers.get("Location") if incoming.status in _REDIRECTS else None
                    if location is None:
                        yield incoming
                        return
                url = self._followed(url, location)
                if url in seen or len(seen) > MOST_REDIRECTS:
                    raise Rejected(f"the server redirects {'in a circle' if url in seen else 'on and on'}")
                seen.add(url)

    def close(self) -> None:
        self._pool.clear()

    @contextmanager
    def _sent(self, method: str, url: str, watch: Watch, fields: Mapping[str, str] | None = None) -> Iterator[Incoming]:
        with _in_few_words(watch):
            address, headers = _with_credentials(url)
            watch.requested()
            response = self._pool.request(
                method,
                address,
                fields=fields,
                headers={"User-Agent": "taker", **headers},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            watch.answered()
        try:
            yield Incoming(response, watch)
        finally:
            response.close()

    def _followed(self, url: str, location: str) -> str:
        """The address that a redirect leads to, where it may be followed. Raises Rejected."""
        quoted = ascii(redacted(location))[:_LONGEST_QUOTE]
        try:
            old, new = urlsplit(url), urlsplit(urljoin(url, location))
            is_same = _server(old) == _server(new)
            is_upgrade = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
        except ValueError:
            raise Rejected(f"the server redirects to {quoted}, which is no address") from None
        if new.scheme not in _PORTS or (old.scheme == "https" and new.scheme != "https"):
            raise Rejected(f"the server redirects to {quoted}; only https, or http from http, is followed")
        if not is_same and not is_upgrade and (new.hostname or "") not in self._redirect_hosts:
            raise Rejected(
                f"the server redirects to another server, {quoted}, which is not followed; "
                f"if that is right, add its host to {self._redirect_setting}"
            )
        # A user and password stay with the host that they were given for.
        userinfo = old.netloc.rpartition("@")[0] if is_same or is_upgrade else ""
        host = new.netloc.rpartition("@")[2]
        return urlunsplit(new._replace(netloc=f"{userinfo}@{host}" if userinfo else host))


def _server(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _with_credentials(url: str) -> tuple[str, Mapping[str, str]]:
    """The address without user and password, and the header that states them."""
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    if not userinfo:
        return url, {}
    return urlunsplit(parts._replace(netloc=host)), urllib3.util.make_headers(basic_auth=unquote(userinfo))


def _unpacked(body: bytes, encoding: str, bounds: Bounds) -> bytes:
    """The body without a content encoding that was not requested, within the same limit."""
    if encoding.strip().lower() in ("", "identity"):
        return body
    try:
        unpacked = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, bounds.most_bytes + 1)
    except zlib.error:
        raise Unreachable(f"the content encoding {encoding[:20]!a} cannot be read") from None
    if len(unpacked) > bounds.most_bytes:
        raise TooLarge(f"the body has more than the {bounds.most_bytes:,} bytes that such an answer may have")
    return unpacked


@contextmanager
def _in_few_words(watch: Watch) -> Iterator[None]:
    """Whatever urllib3, http.client and sockets raise becomes an Unreachable with its reason."""
    try:
        yield
    except Unreachable:
        raise
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        if watch.fault is not None:
            raise watch.fault from error
        kind = Untrusted if _is_untrusted(error) else Unreachable
        raise kind(reason_of(error)) from error


def _is_untrusted(error: BaseException) -> bool:
    """The server's certificate is not accepted: another attempt would meet the same."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def reason_of(error: Exception) -> str:
    """A network error in a few words: urllib3 wraps the reason, and its own text repeats the whole address."""
    cause = getattr(error, "reason", None) or error
    text = str(cause).partition(": ")[2] or str(cause)
    return redacted(f"{type(cause).__name__}: {text[:_LONGEST_QUOTE]}")
