"""One subscription, kept open: reconnected when it is lost, replaced before the venue ends it, never assumed alive.

Belongs here: connecting, subscribing, heartbeats, noticing silence, backoff, rotation with overlap.
Does not: what messages mean (`ingestion.venues`), or where they go (`ingestion.live.spool`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, SecurityError, WebSocketException

from ingestion.domain.redaction import redacted
from ingestion.http.retry import retry_after
from ingestion.live.allowance import Allowance
from ingestion.live.coverage import ConnectionCoverage, Proof
from ingestion.live.spool import ReceivedMessage, SpoolWriter
from ingestion.venues.venue import Subscription, VenueFeed

_LARGEST_MESSAGE: Final = 16 << 20
# Subscriptions are refused at the beginning; later messages are not inspected.
_INSPECTED: Final = 200
# A venue never bans for longer than three days; a longer Retry-After is a mistake.
_LONGEST_RETRY_AFTER: Final = 3 * 86_400.0
_BANNED: Final = 418
_REFUSING_STATUSES: Final = {
    403: "forbidden",
    _BANNED: "banned for a while",
    429: "too many connections",
    451: "not offered here",
}


@dataclass(frozen=True)
class Tuning:
    """How patient a feed connection is; seconds.

    `first_backoff`, `longest_backoff`: between attempts, doubling, each shortened by up to half at random so that
    connections do not return together. `steady`: a connection that lasted so long was no failed attempt.
    `opening`: for the handshake, and again for the answer to the subscription. `overlap`: how long the old connection
    of a rotation is kept beside the new one. `rotation_share`: of the venue's longest connection, when the new one is
    made. `unreached`: after so long without any connection the collector reports it.
    `longest_ban`: after a refusal of this address (HTTP 403, 429, 451) no attempt is made for `longest_backoff`, or
    for Retry-After if longer; after a ban (HTTP 418) for twice as long each time, up to this.
    """

    first_backoff: float = 0.5
    longest_backoff: float = 60.0
    steady: float = 60.0
    opening: float = 15.0
    overlap: float = 5.0
    rotation_share: float = 0.95
    tick: float = 1.0
    unreached: float = 60.0
    longest_ban: float = 3600.0


class _Connect(connect):
    """`connect` that a redirect leads to no other server: the rule of every request of this project."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        followed = super().process_redirect(exc)
        if isinstance(followed, Exception):
            return followed
        old, new = urlsplit(self.uri), urlsplit(followed)
        if (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port):
            return followed
        return SecurityError(f"the venue redirects to another server, {new.hostname}, which is not followed")


class _Refused(Exception):
    """The venue refuses the subscription, or does not answer it."""


def _seconds(header: str | None) -> float:
    """A Retry-After header in seconds from now; 0 where there is none that can be read."""
    required = retry_after(header, datetime.now(UTC))
    return 0.0 if required is None else min(required.total_seconds(), _LONGEST_RETRY_AFTER)


class _WebSocket:
    """One WebSocket of a feed connection, from the handshake to its end."""

    def __init__(self, connection: FeedConnection) -> None:
        self.connection = connection
        self.opened_at = time.monotonic()
        self.up_at: float | None = None
        self.up = asyncio.Event()
        self.proof: Proof | None = None
        self.ws: ClientConnection | None = None
        self.fault = ""
        self.refused_with = 0
        self.retry_after = 0.0
        self._received_at = time.monotonic()
        self._is_waiting = False
        self._messages = 0
        self._accepted = 0
        self.task = asyncio.create_task(self._run(), name=connection.name)

    @property
    def is_up(self) -> bool:
        return self.up_at is not None and not self.task.done()

    async def close(self) -> None:
        """Send the close frame, read what is still on its way, and end."""
        if self.ws is not None:
            with contextlib.suppress(TimeoutError, OSError, WebSocketException):
                await asyncio.wait_for(self.ws.close(), 3)
            await asyncio.wait({self.task}, timeout=1)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        connection = self.connection
        try:
            async with _Connect(
                connection.subscription.url,
                open_timeout=connection.tuning.opening,
                close_timeout=2,
                compression=None,  # the venues gain little by it, and inflating is most of the work of a burst
                ping_interval=None,  # pings are sent by `_keep`: a pong is proof of coverage
                max_size=_LARGEST_MESSAGE,
            ) as self.ws:
                for message in connection.subscription.subscribe_messages:
                    await self.ws.send(message)
                if not connection.subscription.subscribe_messages:
                    self._is_now_up()
                keeper = asyncio.create_task(self._keep(self.ws))
                try:
                    await self._read(self.ws)
                finally:
                    keeper.cancel()
                    await asyncio.gather(keeper, return_exceptions=True)
        except _Refused as refusal:
            self.fault = str(refusal)
        except ConnectionClosed as closed:
            self.fault = self.fault or redacted(f"closed: {closed}")
        except InvalidStatus as refused:
            status = self.refused_with = refused.response.status_code
            self.retry_after = _seconds(refused.response.headers.get("Retry-After"))
            meaning = f" ({_REFUSING_STATUSES[status]})" if status in _REFUSING_STATUSES else ""
            self.fault = f"refused with HTTP {status}{meaning}"
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            self.fault = self.fault or redacted(f"{error or type(error).__name__}")

    async def _read(self, ws: ClientConnection) -> None:
        connection = self.connection
        spool, venue, name = connection.spool, connection.venue, connection.name
        while True:
            message = await ws.recv(decode=False)
            at = connection.clock()
            is_market_data = connection.feed.is_market_data(message)
            if connection.allowance.allows(at, len(message), is_market_data=is_market_data):
                spool.append(venue, ReceivedMessage(at, name, message))
            self._messages += 1
            connection.messages += 1
            if is_market_data:
                connection.last_message_ns = at
            self._note_received(at)
            if self._messages <= _INSPECTED or self.up_at is None:
                refusal = connection.feed.refusal(message)
                if refusal is not None:
                    raise _Refused(f"the venue refused the subscription: {refusal}")
                # A pong does not answer it, and neither does a greeting.
                self._accepted += connection.feed.is_acceptance(message)
                if self.up_at is None and self._accepted >= len(connection.subscription.subscribe_messages):
                    self._is_now_up()
            if spool.is_full:
                self._is_waiting = True
                await spool.room()
                self._is_waiting = False
                self._received_at = time.monotonic()

    async def _keep(self, ws: ClientConnection) -> None:
        """Request a pong often enough to prove every minute, and end a silent connection."""
        subscription = self.connection.subscription
        pause = min(subscription.heartbeat_seconds, subscription.silence_seconds / 3)
        while True:
            if subscription.heartbeat is not None:
                await ws.send(subscription.heartbeat)
            (await ws.ping()).add_done_callback(self._pong)  # type: ignore[attr-defined]
            await asyncio.sleep(pause)
            silent = time.monotonic() - self._received_at
            if silent >= subscription.silence_seconds and not self._is_waiting:
                self.fault = f"silent for {silent:.0f} s"
            elif self.up_at is None and time.monotonic() - self.opened_at > 2 * self.connection.tuning.opening:
                self.fault = "the venue did not answer to the subscription"
            else:
                continue
            # A close frame would wait for an answer that does not come.
            ws.transport.abort()
            return

    def _pong(self, answered: asyncio.Future[float]) -> None:
        if not answered.cancelled() and answered.exception() is None and not self._is_waiting:
            self._note_received(self.connection.clock())

    def _note_received(self, at: int) -> None:
        self._received_at = time.monotonic()
        self.connection.last_frame_ns = at
        if self.proof is not None:
            self.proof = self.connection.coverage.received(self.proof, at)

    def _is_now_up(self) -> None:
        self.up_at = time.monotonic()
        self.proof = self.connection.coverage.began(self.connection.clock())
        self.up.set()


class FeedConnection:
    """One subscription of a venue, kept open until `run` is cancelled.

    `report` gets one sentence per change. `clock`: nanoseconds since 1970.
    """

    def __init__(
        self,
        venue: str,
        subscription: Subscription,
        feed: VenueFeed,
        spool: SpoolWriter,
        *,
        clock: Callable[[], int],
        report: Callable[[str], None],
        tuning: Tuning,
    ) -> None:
        self.venue = venue
        self.subscription = subscription
        self.feed = feed
        self.spool = spool
        self.clock = clock
        self.report = report
        self.tuning = tuning
        self.coverage = ConnectionCoverage(subscription.silence_seconds)
        self.allowance = Allowance(subscription.name)
        self.messages = 0
        self.last_frame_ns: int | None = None
        self.last_message_ns: int | None = None
        self.was_ever_up = False
        self._ban_count = 0
        self._not_before = 0.0
        self._sockets: list[_WebSocket] = []
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.subscription.name

    @property
    def is_up(self) -> bool:
        return any(socket.is_up for socket in self._sockets)

    async def run(self) -> None:
        """Keep it open for ever; on cancellation, close what is open."""
        try:
            await self._run()
        finally:
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*(socket.close() for socket in self._sockets))

    async def _run(self) -> None:
        attempt = 0
        current = await self._opened()
        rotate_at = self._rotation_time()
        while True:
            if current.task.done():
                current.task.result()  # an error in this code is no fault of the network
                if current.up_at is not None and time.monotonic() - current.up_at >= self.tuning.steady:
                    attempt = 0
                pause = self._backoff(attempt)
                attempt += 1
                self._report_lost(current, pause)
                await asyncio.sleep(pause)
                current = await self._opened()
                rotate_at = self._rotation_time()
                continue
            await asyncio.wait({current.task}, timeout=max(rotate_at - time.monotonic(), 0))
            if current.task.done():
                continue
            successor = await self._opened(beside=current)
            if successor.is_up:
                self._retire(current)
                current, rotate_at, attempt = successor, self._rotation_time(), 0
            else:
                # The old connection is kept; at worst the venue ends it.
                rotate_at = time.monotonic() + self._backoff(attempt)
                attempt += 1
                await successor.close()
                self._forget_ended()

    async def _opened(self, beside: _WebSocket | None = None) -> _WebSocket:
        """A new WebSocket, once it is up or has failed."""
        self._forget_ended()
        socket = _WebSocket(self)
        self._sockets.append(socket)
        is_up = asyncio.create_task(socket.up.wait())
        try:
            await asyncio.wait({is_up, socket.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_up.cancel()
        if socket.task.done():
            socket.task.result()
        self._note_refusal(socket)
        if socket.is_up:
            self.was_ever_up = True
            self.report(f"{self.name}: connected" if beside is None else f"{self.name}: connected anew, before the cut")
        elif beside is not None:
            self.report(f"{self.name}: could not connect anew ({socket.fault}); the old connection goes on")
        return socket

    def _retire(self, socket: _WebSocket) -> None:
        async def close() -> None:
            await asyncio.sleep(self.tuning.overlap)
            await socket.close()
            self._forget_ended()

        task = asyncio.create_task(close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _forget_ended(self) -> None:
        self._sockets = [socket for socket in self._sockets if not socket.task.done()]

    def _report_lost(self, socket: _WebSocket, pause: float) -> None:
        what = "lost" if socket.up_at is not None else "not connected"
        self.report(f"{self.name}: {what} ({socket.fault or 'ended'}); trying again in {pause:.1f} s")

    def _backoff(self, attempt: int) -> float:
        pause = min(self.tuning.longest_backoff, self.tuning.first_backoff * 2.0 ** min(attempt, 30))
        return max(pause * random.uniform(0.5, 1.0), self._not_before - time.monotonic())

    def _note_refusal(self, socket: _WebSocket) -> None:
        """A venue bans longer an address that it refused and that returns at once."""
        if socket.refused_with not in _REFUSING_STATUSES:
            self._ban_count = 0
            return
        longest = self.tuning.longest_backoff
        if socket.refused_with == _BANNED:
            longest = max(longest, min(self.tuning.longest_ban, longest * 2.0 ** min(self._ban_count, 30)))
        self._ban_count += 1
        self._not_before = time.monotonic() + max(socket.retry_after, longest)

    def _rotation_time(self) -> float:
        """When to replace a connection that is opened now; randomised, so that connections do not rotate together."""
        longest = self.feed.longest_connection_seconds * self.tuning.rotation_share
        return time.monotonic() + longest * random.uniform(0.9, 1.0)
