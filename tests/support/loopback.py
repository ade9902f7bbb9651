"""A TCP server on a free loopback port, one request per connection, for servers that break HTTP on purpose.

Belongs here: accepting, reading the head of a request, ending. Does not: answers (`hostile_server`, `s3_proxy`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class LoopbackServer:
    """`requests`: one text per request, in order. `accepted`: how many connections. `_ended`: the test is over."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.accepted = 0
        self._ended = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self.port = int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            # `close` alone does not wake a thread that accepts.
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            for connection in list(self._open):
                connection.close()
            thread.join(5)

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as connection:
            self._open.add(connection)
            received = b""
            while b"\r\n\r\n" not in received:
                block = connection.recv(65_536)
                if not block:
                    return
                received += block
                if received[:1] == b"\x16":  # a TLS handshake, which this server does not understand
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    return
            self._answered(connection, received)

    def _secured(self, connection: socket.socket) -> socket.socket:
        """The connection, behind TLS where the server has it."""
        return connection

    def _answered(self, connection: socket.socket, received: bytes) -> None:
        """Answer one request, of which `received` holds the head and the beginning of the body."""
        raise NotImplementedError
