"""A server that breaks every rule of HTTP on purpose, one behaviour per name, on a free loopback port.

Belongs here: what goes over the wire. Does not: expectations.

A behaviour gets the connection, the requested path and the event that ends the test, and answers until the client goes
away. Connections are plain TCP: no HTTP library sends most of this.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Final

from tests.support.loopback import LoopbackServer

Behaviour = Callable[[socket.socket, str, threading.Event], None]

OK: Final = b"HTTP/1.1 200 OK\r\n"
_FLOOD: Final = b"0" * 65_536
PAGE: Final = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def answer(status: str, *headers: str, body: bytes = b"") -> Behaviour:
    """One complete answer; Content-Length unless `headers` state one."""

    def send(connection: socket.socket, path: str, ended: threading.Event) -> None:
        lines = list(headers)
        if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
            lines.append(f"Content-Length: {len(body)}")
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body)

    return send


def _then(beginning: bytes, block: bytes, pause: float = 0.0) -> Behaviour:
    """`beginning`, and then `block` again and again until the client goes away."""

    def send(connection: socket.socket, path: str, ended: threading.Event) -> None:
        connection.sendall(beginning)
        while not ended.wait(pause):
            connection.sendall(block)

    return send


def _silent(connection: socket.socket, path: str, ended: threading.Event) -> None:
    ended.wait()


def _closes(connection: socket.socket, path: str, ended: threading.Event) -> None:
    return


def _on_and_on(connection: socket.socket, path: str, ended: threading.Event) -> None:
    answer("302 Found", f"Location: {path}x")(connection, path, ended)


def redirect(location: str) -> Behaviour:
    return answer("302 Found", f"Location: {location}")


DRIP: Final = 0.02

BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "accepts and sends nothing": _silent,
    "closes at once": _closes,
    "speaks another protocol": _then(b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n", DRIP),
    "drips headers": _then(OK, b"X", DRIP),
    "sends headers without end": _then(OK, b"X-Header: " + b"y" * 1000 + b"\r\n"),
    "continues without end": _then(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "drips the body": _then(OK + b"Content-Length: 1000000\r\n\r\n", b"x", DRIP),
    "drips chunks": _then(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", DRIP),
    "stops in mid-body": _then(OK + b"Content-Length: 1000000\r\n\r\n" + _FLOOD, b"", 60),
    "sends a body without end": _then(OK + b"\r\n", _FLOOD),
    "sends chunks without end": _then(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + _FLOOD + b"\r\n"),
    "sends a chunk of negative size": _then(OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", _FLOOD),
    "sends a chunk header without end": _then(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
    "reports a length of terabytes": _then(OK + b"Content-Length: 3000000000000\r\n\r\n", _FLOOD),
    "cuts in mid-body": answer("200 OK", "Content-Length: 1000", body=b"x" * 500),
    "cuts a chunk": answer("200 OK", "Transfer-Encoding: chunked", body=b"100\r\nabc"),
    "redirects in a circle": redirect("/data/here.zip"),
    "redirects on and on": _on_and_on,
    "redirects to another host": redirect("http://localhost:1/there.zip"),
    "redirects to another port": redirect("http://127.0.0.1:1/there.zip"),
    "redirects to a file": redirect("file:///etc/passwd"),
    "redirects to no address": redirect("http://[::1/there"),
    "sends a web page": answer("200 OK", "Content-Type: text/html", body=PAGE),
    "requires a pause of a year": answer("429 Too Many Requests", "Retry-After: 31536000"),
    "requires a pause in superscript": answer("503 Slow Down", "Retry-After: \xb2\xb2"),
    "fails": answer("500 Internal Server Error", body=b"<html>oops</html>"),
    "refuses": answer("403 Forbidden", body=b"<html>blocked</html>"),
    "answers with a status of its own": answer("999 Whatever"),
}


class HostileServer(LoopbackServer):
    """Answers paths that end with one of `good`'s keys well, and everything else by `behaviour`.

    `requests`: the paths, in order. `heads`: the requests as they arrived.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        good: dict[str, bytes | None] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.behaviour = behaviour
        self.good = good or {}
        self.heads: list[bytes] = []
        self._tls = tls

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _answered(self, connection: socket.socket, received: bytes) -> None:
        path = received.split(b" ", 2)[1].decode("latin-1")
        self.requests.append(path)
        self.heads.append(received)
        behaviour = self.behaviour
        for ending, body in self.good.items():
            if path.endswith(ending):
                behaviour = answer("404 Not Found") if body is None else answer("200 OK", body=body)
        # One request per connection: a client that reuses it finds it closed, and connects anew.
        behaviour(connection, path, self._ended)

    def _secured(self, connection: socket.socket) -> socket.socket:
        try:
            return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
        except OSError:
            connection.close()
            raise
