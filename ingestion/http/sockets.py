"""Sockets that obey the watch of the request they serve, and urllib3 connections made of them.

Belongs here: resolving, connecting and reading under a deadline. Does not: the limits (`ingestion.http.bounds`), or
requests (`ingestion.http.client`).

`_new_conn` of urllib3's connections is replaced, since the original tries every address of a host with the whole
time-out each, and waits for the resolver of the operating system as long as that likes.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ingestion.http.bounds import CONNECT_SECONDS
from ingestion.http.watch import current_watch

_Address = tuple[Any, ...]
# A time-out of 0 would mean not to wait at all, and fail at once.
_SHORTEST: Final = 0.001


class _Watched:
    """What both kinds of socket have in common."""

    def recv_into(self, *arguments: Any) -> int:
        watch = current_watch()
        if watch is None:
            return super().recv_into(*arguments)  # type: ignore[misc,no-any-return]
        while True:
            self.settimeout(max(watch.patience(), _SHORTEST))  # type: ignore[attr-defined]
            began = time.monotonic()
            try:
                count: int | None = super().recv_into(*arguments)  # type: ignore[misc]
            except TimeoutError:
                count = None  # the watch decides whether that was one limit's end
            watch.waited(time.monotonic() - began, count or 0)
            if count is not None:
                return count


class WatchedSocket(_Watched, socket.socket):
    """A TCP socket under the watch of its reader."""


class WatchedTlsSocket(_Watched, ssl.SSLSocket):
    """The same, encrypted."""


def connected(host: str, port: int, seconds: float) -> WatchedSocket:
    """A connection to the first address of `host` that accepts one within `seconds`, name resolution included.

    An address that does not answer leaves time for the others. Raises socket.gaierror, TimeoutError or OSError.
    """
    deadline = time.monotonic() + seconds
    addresses = _resolved(host, port, seconds)
    failure: OSError = OSError(f"{host} has no address")
    for n, (family, kind, protocol, _, address) in enumerate(addresses):
        made = WatchedSocket(family, kind, protocol)
        try:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no connection within {seconds:.2g} s")
            made.settimeout(max(left / (len(addresses) - n), _SHORTEST))
            made.connect(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # What is left is for the TLS handshake, which takes this as the limit of the whole.
            made.settimeout(max(deadline - time.monotonic(), _SHORTEST))
            return made
        except OSError as error:
            made.close()
            failure = error
    raise failure


def _resolved(host: str, port: int, seconds: float) -> list[_Address]:
    """The addresses of a host. The system's resolver cannot be interrupted: a thread is left to it."""
    answers: SimpleQueue[list[_Address] | OSError | UnicodeError] = SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=resolve, daemon=True, name="taker-resolve").start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise socket.gaierror(socket.EAI_AGAIN, f"the name was not resolved within {seconds:.2g} s") from None
    if isinstance(answer, UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "it is no valid host name") from answer
    if isinstance(answer, OSError):
        raise answer
    return answer


def _opened(connection: HTTPConnection) -> WatchedSocket:
    """`_new_conn` of urllib3, with the errors that it raises."""
    host = connection.host
    seconds = connection.timeout if isinstance(connection.timeout, int | float) else CONNECT_SECONDS
    watch = current_watch()
    seconds = seconds if watch is None else min(seconds, watch.patience())
    try:
        return connected(host.strip("[]"), connection.port, seconds)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"{host}: no connection within {seconds:.2g} s") from error
    except OSError as error:
        raise NewConnectionError(connection, f"{host}: {error.strerror or error}") from error


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Pools(urllib3.PoolManager):
    def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> urllib3.HTTPConnectionPool:
        if scheme == "https":
            request_context = {**(request_context or self.connection_pool_kw), "ssl_context": self._trusted}
        return super()._new_pool(scheme, host, port, request_context)

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """The certificates of the system, loaded when an encrypted connection first needs them: 0.03 s and more."""
        context = ssl.create_default_context()
        context.sslsocket_class = WatchedTlsSocket
        return context


def pool_manager(connections: int, connect_seconds: float) -> urllib3.PoolManager:
    """A pool of such connections. It neither retries nor follows redirects; reads obey the watch of their request."""
    pools = _Pools(maxsize=connections, timeout=urllib3.Timeout(connect=connect_seconds, read=None), retries=False)
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pools
