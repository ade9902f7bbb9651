"""The simulated exchange's WebSocket: the forced orders of the last day, and the collector that receives them.

Belongs here: the messages as the exchange sends them, in a file beside its archive, and replaying a day of them on
loopback. Does not: receiving and sealing (`ingestion.live`), the orders themselves (`ingestion.simulator.derived`).

A replay takes seconds: collector and exchange share a clock that goes from message to message. All else is the real
collector, on a real connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from ingestion.domain.errors import IngestionError
from ingestion.live.collector import Collected, Collector, plan
from ingestion.raw.durable import atomic_write
from ingestion.simulator.archive_files import epoch_ms
from ingestion.simulator.derived import forced_orders, generator_of_liquidations
from ingestion.simulator.model import Market
from ingestion.venues.simulated import SIMULATED

FEED_FOLDER: Final = "feed"
_MINUTE_MS: Final = 60_000
# The exchange answers something this often, so that every minute is proven.
_BEAT_MS: Final = 20_000
_BEAT: Final = '{"id":1,"result":null}'
# Minutes of the day in which the exchange is silent: nothing is known of them, and the day's total is a lower bound.
_SILENT: Final = range(3 * 60 + 10, 3 * 60 + 31)
# Real seconds that the collector may take to receive one message.
_PATIENCE: Final = 30.0
# The spool's files stay open until the end: a second of this day is some hours of the exchange's.
_FSYNC_SECONDS: Final = 3600.0


def feed_file(archive: Path, day: date) -> Path:
    return archive / FEED_FOLDER / f"{day}.jsonl"


def write_messages(archive: Path, markets: Sequence[Market], day: date) -> None:
    """The messages of the day, of all markets of the exchange with a feed, one line each: when it is sent, its text."""
    sent = sorted(
        (message for market in markets if market.listing.venue.feed for message in _messages(market, day)),
        key=lambda message: (message["E"], message["o"]["s"]),
    )
    lines = [
        json.dumps({"at": data["E"], "message": {"stream": "simulated!forceOrder@arr", "data": data}}) for data in sent
    ]
    path = feed_file(archive, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as staged:
        staged.write_text("".join(line + "\n" for line in lines))


def _messages(market: Market, day: date) -> Iterator[dict[str, Any]]:
    """Each order once, when it is filled."""
    drawn = forced_orders(market, day, generator_of_liquidations(market, day))
    scale = market.listing.lot_scale
    for place in drawn.kept.tolist():
        at, quantity = int(drawn.time[place]), _decimal(int(drawn.lots[place]), scale)
        order = {
            "s": market.listing.symbol,
            "S": "SELL" if drawn.is_sell[place] else "BUY",
            "o": "LIMIT",
            "f": "IOC",
            "q": quantity,
            "p": _decimal(int(drawn.limit[place]), 1),
            "ap": _decimal(int(drawn.average[place]), 1),
            "X": "FILLED",
            "l": quantity,
            "z": quantity,
            "T": at,
        }
        yield {"e": "forceOrder", "E": at, "o": order}


def _decimal(units: int, scale: int) -> str:
    whole, rest = divmod(units, 10**scale)
    return f"{whole}.{rest:0{scale}d}" if scale else str(whole)


def replay(archive: Path, day: date, spool_dir: Path) -> Collected:
    """Receive the day's messages with the collector, and leave them in its spool to be sealed.

    SpoolBusy, SpoolFailed; SimulatedFeedLost where the connection broke.
    """
    lines = feed_file(archive, day).read_text().splitlines()
    messages = [(int(line["at"]), json.dumps(line["message"])) for line in map(json.loads, lines)]
    return asyncio.run(_Replay(spool_dir, epoch_ms(day), _with_beats(messages, day)).run())


class SimulatedFeedLost(IngestionError):
    """The replay on loopback broke off."""


def _with_beats(messages: Sequence[tuple[int, str]], day: date) -> list[tuple[int, str]]:
    """Everything that is sent within the day, in order, without the silent minutes."""
    first, last = epoch_ms(day), epoch_ms(day + timedelta(days=1))
    beats = [(at, _BEAT) for at in range(first + _BEAT_MS, last, _BEAT_MS)]
    sent = sorted([*messages, *beats])
    return [(at, text) for at, text in sent if (at - first) // _MINUTE_MS not in _SILENT]


@dataclass
class _Replay:
    spool_dir: Path
    now_ms: int
    messages: Sequence[tuple[int, str]]
    caller: asyncio.Future[ServerConnection] = field(init=False)

    async def run(self) -> Collected:
        self.caller = asyncio.get_running_loop().create_future()
        async with serve(self._connected, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
            port = server.sockets[0].getsockname()[1]
            collector = Collector(
                self.spool_dir,
                plan((), {SIMULATED.venue: f"ws://127.0.0.1:{port}"}),
                report=lambda line: None,
                fsync_seconds=_FSYNC_SECONDS,
                clock=lambda: self.now_ms * 1_000_000,
            )
            stop = asyncio.Event()
            collecting = asyncio.create_task(collector.run(stop))
            sending = asyncio.create_task(self._send(collector))
            await asyncio.wait({collecting, sending}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            collected = await collecting
            await sending
            return collected

    async def _connected(self, connection: ServerConnection) -> None:
        if self.caller.done():
            raise SimulatedFeedLost("the collector connected anew: the first connection was lost")
        self.caller.set_result(connection)
        await connection.wait_closed()

    async def _send(self, collector: Collector) -> None:
        """Every message at its time: the next one is sent when the one before it was received."""
        (receiving,) = collector.connections
        try:
            connection = await asyncio.wait_for(self.caller, _PATIENCE)
            while not receiving.is_up:
                await asyncio.sleep(0)
            for number, (at, text) in enumerate(self.messages, start=1):
                self.now_ms = at
                await connection.send(text)
                async with asyncio.timeout(_PATIENCE):
                    while receiving.messages < number:
                        await asyncio.sleep(0)
        except (TimeoutError, ConnectionClosed) as error:
            raise SimulatedFeedLost(f"the simulated feed broke off: {error or type(error).__name__}") from error
