"""One subscription, kept open: made again when it is lost, replaced before the venue cuts it, never trusted to live.

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
from email.utils import parsedate_to_datetime
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ingestion.live.coverage import LineCoverage, Proof
from ingestion.live.spool import Heard, SpoolWriter
from ingestion.venues.venue import Subscription, VenueFeed

_LARGEST_MESSAGE: Final = 16 << 20
# Subscriptions are refused at the beginning; later messages need not be looked at.
_LOOKED_AT: Final = 200
# A venue never bans for longer than three days; a longer Retry-After is a mistake.
_LONGEST_RETRY_AFTER: Final = 3 * 86_400.0
_BANNED: Final = 418
_REFUSALS: Final = {
    403: "forbidden",
    _BANNED: "banned for a while",
    429: "too many connections",
    451: "not offered here",
}


@dataclass(frozen=True)
class Tuning:
    """How patient a line is; seconds.

    `first_backoff`, `longest_backoff`: between attempts, doubling, each shortened by up to half at random so that lines
    do not return together. `steady`: a connection that lived so long was no failed attempt. `opening`: for the
    handshake, and again for the answer to the subscription. `overlap`: how long the old connection of a rotation goes
    on beside the new one. `rotation_share`: of the venue's longest connection, when the new one is made.
    `unreached`: after so long without any connection at all the collector says so.
    `longest_ban`: a venue that refuses this address is left alone for `longest_backoff`, or for as long as it says; one
    that bans it for twice as long each time, up to this.
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


class _Refused(Exception):
    """The venue does not want the subscription, or does not answer to it."""


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header asks for, in seconds from now; 0 where there is none that can be read."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # no date, or one without a zone
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)  # `nan` compares as 0


class _Connection:
    """One WebSocket of a line, from the handshake to its end."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.opened_at = time.monotonic()
        self.up_at: float | None = None
        self.up = asyncio.Event()
        self.proof: Proof | None = None
        self.ws: ClientConnection | None = None
        self.fault = ""
        self.refused_with = 0
        self.retry_after = 0.0
        self._heard_at = time.monotonic()
        self._is_waiting = False
        self._messages = 0
        self._accepted = 0
        self.task = asyncio.create_task(self._run(), name=line.name)

    @property
    def is_up(self) -> bool:
        return self.up_at is not None and not self.task.done()

    async def close(self) -> None:
        """Say goodbye, read what is still on its way, and end."""
        if self.ws is not None:
            with contextlib.suppress(TimeoutError, OSError, WebSocketException):
                await asyncio.wait_for(self.ws.close(), 3)
            await asyncio.wait({self.task}, timeout=1)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self) -> None:
        line = self.line
        try:
            async with connect(
                line.subscription.url,
                open_timeout=line.tuning.opening,
                close_timeout=2,
                compression=None,  # the venues gain little by it, and inflating is most of the work of a burst
                ping_interval=None,  # our own: a pong is proof of coverage
                max_size=_LARGEST_MESSAGE,
            ) as self.ws:
                for hello in line.subscription.subscribe_messages:
                    await self.ws.send(hello)
                if not line.subscription.subscribe_messages:
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
            self.fault = self.fault or f"closed: {closed}"
        except InvalidStatus as refused:
            status = self.refused_with = refused.response.status_code
            self.retry_after = _seconds(refused.response.headers.get("Retry-After"))
            self.fault = f"refused with HTTP {status}" + (f" ({_REFUSALS[status]})" if status in _REFUSALS else "")
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            self.fault = self.fault or f"{error or type(error).__name__}"

    async def _read(self, ws: ClientConnection) -> None:
        line, spool, venue, name = self.line, self.line.spool, self.line.venue, self.line.name
        while True:
            message = await ws.recv(decode=False)
            at = line.clock()
            spool.append(venue, Heard(at, name, message))
            self._messages += 1
            line.messages += 1
            if line.feed.is_market_data(message):
                line.last_message_ns = at
            self._heard(at)
            if self._messages <= _LOOKED_AT or self.up_at is None:
                refusal = line.feed.refusal(message)
                if refusal is not None:
                    raise _Refused(f"the venue refused the subscription: {refusal}")
                # A pong is no answer to it, and neither is a greeting.
                self._accepted += line.feed.is_acceptance(message)
                if self.up_at is None and self._accepted >= len(line.subscription.subscribe_messages):
                    self._is_now_up()
            if spool.is_full:
                self._is_waiting = True
                await spool.room()
                self._is_waiting = False
                self._heard_at = time.monotonic()

    async def _keep(self, ws: ClientConnection) -> None:
        """Ask for a pong often enough to prove every minute, and end a connection that says nothing."""
        subscription = self.line.subscription
        pause = min(subscription.heartbeat_seconds, subscription.silence_seconds / 3)
        while True:
            if subscription.heartbeat is not None:
                await ws.send(subscription.heartbeat)
            (await ws.ping()).add_done_callback(self._pong)  # type: ignore[attr-defined]
            await asyncio.sleep(pause)
            silent = time.monotonic() - self._heard_at
            if silent >= subscription.silence_seconds and not self._is_waiting:
                self.fault = f"silent for {silent:.0f} s"
            elif self.up_at is None and time.monotonic() - self.opened_at > 2 * self.line.tuning.opening:
                self.fault = "the venue did not answer to the subscription"
            else:
                continue
            # A goodbye would wait for an answer that does not come.
            ws.transport.abort()
            return

    def _pong(self, answered: asyncio.Future[float]) -> None:
        if not answered.cancelled() and answered.exception() is None and not self._is_waiting:
            self._heard(self.line.clock())

    def _heard(self, at: int) -> None:
        self._heard_at = time.monotonic()
        self.line.last_frame_ns = at
        if self.proof is not None:
            self.proof = self.line.coverage.heard(self.proof, at)

    def _is_now_up(self) -> None:
        self.up_at = time.monotonic()
        self.proof = self.line.coverage.began(self.line.clock())
        self.up.set()


class Line:
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
        self.coverage = LineCoverage(subscription.silence_seconds)
        self.messages = 0
        self.last_frame_ns: int | None = None
        self.last_message_ns: int | None = None
        self.was_ever_up = False
        self._refusals = 0
        self._not_before = 0.0
        self._connections: list[_Connection] = []
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self.subscription.name

    @property
    def is_up(self) -> bool:
        return any(connection.is_up for connection in self._connections)

    async def run(self) -> None:
        """Keep it open for ever; on cancellation, close what is open."""
        try:
            await self._run()
        finally:
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _run(self) -> None:
        attempt = 0
        current = await self._opened()
        rotate_at = self._rotation_time()
        while True:
            if current.task.done():
                current.task.result()  # a fault of ours is no fault of the network
                if current.up_at is not None and time.monotonic() - current.up_at >= self.tuning.steady:
                    attempt = 0
                pause = self._backoff(attempt)
                attempt += 1
                self._say_lost(current, pause)
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
                # The old connection is still the better one; the venue will cut it at worst.
                rotate_at = time.monotonic() + self._backoff(attempt)
                attempt += 1
                await successor.close()
                self._forget_ended()

    async def _opened(self, beside: _Connection | None = None) -> _Connection:
        """A new connection, once it is up or has failed."""
        self._forget_ended()
        connection = _Connection(self)
        self._connections.append(connection)
        is_up = asyncio.create_task(connection.up.wait())
        try:
            await asyncio.wait({is_up, connection.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_up.cancel()
        if connection.task.done():
            connection.task.result()
        self._note_refusal(connection)
        if connection.is_up:
            self.was_ever_up = True
            self.report(f"{self.name}: connected" if beside is None else f"{self.name}: connected anew, before the cut")
        elif beside is not None:
            self.report(f"{self.name}: could not connect anew ({connection.fault}); the old connection goes on")
        return connection

    def _retire(self, connection: _Connection) -> None:
        async def close() -> None:
            await asyncio.sleep(self.tuning.overlap)
            await connection.close()
            self._forget_ended()

        task = asyncio.create_task(close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _forget_ended(self) -> None:
        self._connections = [connection for connection in self._connections if not connection.task.done()]

    def _say_lost(self, connection: _Connection, pause: float) -> None:
        what = "lost" if connection.up_at is not None else "not connected"
        self.report(f"{self.name}: {what} ({connection.fault or 'ended'}); trying again in {pause:.1f} s")

    def _backoff(self, attempt: int) -> float:
        pause = min(self.tuning.longest_backoff, self.tuning.first_backoff * 2.0 ** min(attempt, 30))
        return max(pause * random.uniform(0.5, 1.0), self._not_before - time.monotonic())

    def _note_refusal(self, connection: _Connection) -> None:
        """Who is told to stay away, and comes back at once, is banned for longer."""
        if connection.refused_with not in _REFUSALS:
            self._refusals = 0
            return
        longest = self.tuning.longest_backoff
        if connection.refused_with == _BANNED:
            longest = max(longest, min(self.tuning.longest_ban, longest * 2.0 ** min(self._refusals, 30)))
        self._refusals += 1
        self._not_before = time.monotonic() + max(connection.retry_after, longest)

    def _rotation_time(self) -> float:
        """When to replace a connection that is made now; lines differ, so that they do not rotate together."""
        longest = self.feed.longest_connection_seconds * self.tuning.rotation_share
        return time.monotonic() + longest * random.uniform(0.9, 1.0)
