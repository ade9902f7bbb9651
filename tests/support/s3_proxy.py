"""A proxy in front of an S3 server that fails as such servers and the networks before them do.

Belongs here: what goes over the wire. Does not: expectations.

Requests pass byte for byte (they are signed), one per connection, so that each meets the fault that is set for it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from tests.support.loopback import LoopbackServer

_LENGTH: Final = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
ERRORS: Final = {
    "busy": (503, "SlowDown", "Please reduce your request rate."),
    "expired": (403, "ExpiredToken", "The provided token has expired."),
    "denied": (403, "AccessDenied", "Access Denied."),
    "broken": (500, "InternalError", "We encountered an internal error."),
}
FAULTS: Final = (*ERRORS, "refuses", "silent", "cuts the request", "cuts the answer", "loses the answer")


def _is_complete(answer: bytes, has_no_body: bool) -> bool:
    headers, ends, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(headers)
    return bool(ends) and (has_no_body or (length is not None and len(body) >= int(length[1])))


class S3Proxy(LoopbackServer):
    """`fault`: what happens to the requests that `applies` to (method and path); None: they pass.

    `only_from`: of these, those whose headers hold this text, such as a program's name.

    `times`: how many of them fail before the rest pass; None: all.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__()
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self.fault: str | None = None
        self.times: int | None = None
        self.applies: Callable[[str, str], bool] = lambda method, path: True
        self.only_from = b""

    def fails(
        self, fault: str, times: int | None = None, applies: Callable[[str, str], bool] = lambda method, path: True
    ) -> None:
        self.fault, self.times, self.applies = fault, times, applies

    def heals(self) -> None:
        self.fault = None

    def _answered(self, connection: socket.socket, received: bytes) -> None:
        head, _, body = received.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
        self.requests.append(f"{method} {path}")
        fault = self._next_fault(method, path) if self.only_from in head.lower() else None
        if fault == "refuses":
            return
        if fault == "silent":
            self._ended.wait()
            return
        if fault in ERRORS:
            self._answer(connection, fault, method)
            return
        self._pass(connection, head, body, fault)

    def _next_fault(self, method: str, path: str) -> str | None:
        if self.fault is None or self.times == 0 or not self.applies(method, path):
            return None
        if self.times is not None:
            self.times -= 1
        return self.fault

    def _answer(self, client: socket.socket, fault: str, method: str) -> None:
        status, code, message = ERRORS[fault]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Connection: close\r\n\r\n".encode() + (b"" if method == "HEAD" else body))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(1)
        while client.recv(65_536):  # a body that is still on its way; closing before it would reset the answer
            pass

    def _pass(self, client: socket.socket, head: bytes, body: bytes, fault: str | None) -> None:
        with socket.create_connection(self._upstream) as server:
            # One request per connection, for which no header that is signed changes.
            server.sendall(head + b"\r\nConnection: close\r\n\r\n")
            length = _LENGTH.search(head)
            most = int(length[1]) // 2 if length and fault == "cuts the request" else None
            server.sendall(body[:most])
            sending = threading.Thread(target=self._relay, args=(client, server, most, len(body)), daemon=True)
            sending.start()
            if fault == "cuts the request":
                sending.join(5)
                return
            answer = b""
            while block := server.recv(65_536):
                if fault is None:
                    client.sendall(block)
                answer += block if fault else b""
                if answer.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in answer:
                    goes_on, _, answer = answer.partition(b"\r\n\r\n")
                    client.sendall(goes_on + b"\r\n\r\n")
                if fault and _is_complete(answer, head.startswith(b"HEAD ")):
                    break  # not every server closes at once
            if fault == "cuts the answer":
                headers, _, body = answer.partition(b"\r\n\r\n")
                # Without a body, within the first line: a client would take cut headers for all of them.
                client.sendall(answer[: len(headers) + 4 + len(body) // 2] if body else answer[:6])
            # Closing alone would not reach the client as long as the other thread waits for more of it.
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _relay(client: socket.socket, server: socket.socket, most: int | None, sent: int) -> None:
        """What the client sends, up to `most` bytes of the body in all."""
        with contextlib.suppress(OSError):
            while most is None or sent < most:
                block = client.recv(65_536)
                if not block:
                    return
                server.sendall(block if most is None else block[: most - sent])
                sent += len(block)
