"""A receiver of alerts on a free loopback port that takes them, refuses them, or breaks, as a test plans it.

Belongs here: answering POSTs and keeping what came. Does not: expectations.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "T0KEN-geheim-42"
CUT, SILENCE = "cut", "silence"


@dataclass(frozen=True)
class Reply:
    """One answer: a status, with headers and a body where a test wants some."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """Takes everything with 200, after the `answers` that are planned: a Reply, CUT (the connection breaks after the
    request was read) or SILENCE (no answer until the test is over).

    `messages`: every JSON body that came, whatever it was answered. `taken`: those answered 2xx.
    """

    def __init__(self) -> None:
        self.answers: deque[Reply | str] = deque()
        self.messages: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.taken: list[dict[str, Any]] = []
        self.over = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{TOKEN}"

    @property
    def keys_taken(self) -> list[str]:
        return [message["idempotency_key"] for message in self.taken]

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # header and body are two writes; waiting between them costs 40 ms

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.messages.append(message)
            receiver.headers.append(dict(self.headers))
            answer = receiver.answers.popleft() if receiver.answers else Reply(200, body=b"ok")
            if answer == SILENCE:
                receiver.over.wait(30)
            if isinstance(answer, str):
                self.close_connection = True
                return
            if 200 <= answer.status < 300:
                receiver.taken.append(message)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
