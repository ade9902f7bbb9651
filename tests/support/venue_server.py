"""A fake WebSocket of a venue on a free loopback port: it sends what a test gives it, and misbehaves on demand.

Belongs here: replaying, dropping, going silent, cutting, refusing, bursting. Does not: messages, expectations.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

DEADLINE = 60.0


@dataclass(eq=False)
class Caller:
    """One client connection. `sent`: the messages that the client sent, in order."""

    connection: ServerConnection
    path: str
    sent: list[str] = field(default_factory=list)


class VenueServer:
    """Runs in a thread of its own; every method may be called from any thread.

    `greeting`: sent to every new client. `refuse_with`: an HTTP status in place of a handshake, with `refuse_headers`.
    `answers`: whether it acknowledges subscriptions and text pings; `accepts`: whether it acknowledges subscriptions.
    """

    def __init__(self, greeting: Sequence[str] = ()) -> None:
        self.greeting = list(greeting)
        self.refuse_with: int | None = None
        self.refuse_headers: dict[str, str] = {}
        self.answers = True
        self.accepts = True
        self.refusal: str | None = None
        self.refused = 0
        self.ever: list[Caller] = []
        self.callers: list[Caller] = []
        self._loop = asyncio.new_event_loop()
        self._port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    @contextmanager
    def running(self) -> Iterator[VenueServer]:
        ready = threading.Event()
        thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        thread.start()
        assert ready.wait(DEADLINE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(DEADLINE)

    # ---- behaviour ----

    def say(self, *messages: str | bytes) -> None:
        """Send to every connected client, and return when done. An assertion where there is no client."""

        async def send() -> None:
            assert self.callers, "no client is connected: wait for it first"
            for caller in list(self.callers):
                with suppress(ConnectionClosed):
                    for message in messages:
                        await caller.connection.send(message, text=True)

        self._do(send())

    def burst(self, message: Callable[[int], str], count: int) -> Future[None]:
        """`count` messages as fast as the client accepts them; the future ends when all of them are sent."""

        async def send() -> None:
            caller = self.callers[-1]
            for n in range(count):
                await caller.connection.send(message(n))

        return asyncio.run_coroutine_threadsafe(send(), self._loop)

    def drop(self) -> None:
        """End every connection without a closing handshake."""
        self._each(lambda caller: caller.connection.transport.abort())

    def go_silent(self) -> None:
        """Half-open: every connection stays, and nothing is read, answered or sent on it any more."""
        self._each(lambda caller: caller.connection.transport.pause_reading())
        self.callers = []

    def cut(self) -> None:
        """What a venue does after 24 hours: a regular close."""

        async def close() -> None:
            await asyncio.gather(*(caller.connection.close(1001, "24 hours") for caller in list(self.callers)))

        self._do(close())

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        wait_for(condition, what)

    def wait_for_callers(self, count: int = 1) -> None:
        """Until so many clients have ever subscribed, or connected where there are no subscribe messages."""
        wait_for(lambda: len([c for c in self.ever if "stream?" in c.path or c.sent]) >= count, f"{count} callers")

    # ---- inside ----

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run(ready))
        self._loop.close()

    async def _run(self, ready: threading.Event) -> None:
        self._stop = asyncio.Event()
        options: dict[str, Any] = {"ping_interval": None, "compression": None, "close_timeout": 0.2}
        async with serve(self._talk, "127.0.0.1", 0, process_request=self._admit, **options) as server:
            self._port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stop.wait()
            for caller in self.ever:
                caller.connection.transport.abort()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.refuse_with:
            return None
        self.refused += 1
        response = connection.respond(HTTPStatus(self.refuse_with), "no\n")
        for name, value in self.refuse_headers.items():
            response.headers[name] = value
        return response

    async def _talk(self, connection: ServerConnection) -> None:
        caller = Caller(connection, connection.request.path)
        self.ever.append(caller)
        self.callers.append(caller)
        try:
            for message in self.greeting:
                await connection.send(message)
            async for sent in connection:
                caller.sent.append(str(sent))
                answer = self._answer(str(sent))
                if answer:
                    await connection.send(answer)
        except ConnectionClosed:
            pass
        finally:
            if caller in self.callers:
                self.callers.remove(caller)

    def _answer(self, message: str) -> str | None:
        if not self.answers:
            return None
        if "subscribe" in message:
            if not self.accepts:
                return None
            return self.refusal or '{"success":true,"event":"subscribe","op":"subscribe"}'
        return "pong" if message == "ping" else '{"op":"pong"}'

    def _each(self, act: Callable[[Caller], None]) -> None:
        async def run() -> None:
            for caller in list(self.callers):
                act(caller)

        self._do(run())

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)


def wait_for(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Until the condition holds; an assertion that names what was waited for when it does not."""
    until = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < until, f"waited {deadline:.0f} s for {what}"
        threading.Event().wait(0.01)


async def until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """The same inside an event loop."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline:.0f} s for {what}"
        await asyncio.sleep(0.01)
