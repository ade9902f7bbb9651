"""The collector: every feed connection of every venue, one spool, and its own status.

Belongs here: what is subscribed to, starting and stopping together, coverage and status while it runs.
Does not: a single connection (`ingestion.live.connection`), settings, signals (`orchestration`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ingestion.domain.datasets import LIQUIDATIONS, LIVE_TRADES
from ingestion.domain.markets import Market
from ingestion.live.connection import FeedConnection, Tuning
from ingestion.live.coverage import VenueCoverage
from ingestion.live.spool import HOUR_NS, SpoolWriter, held, hour_label
from ingestion.live.status import CollectorStatus, ConnectionStatus, write_status
from ingestion.venues import venue_of
from ingestion.venues.venue import Subscription, VenueFeed

_STATUS_SECONDS: Final = 2.0


@dataclass(frozen=True)
class VenuePlan:
    """What is subscribed to at one venue."""

    venue: str
    feed: VenueFeed
    subscriptions: tuple[Subscription, ...]


@dataclass(frozen=True)
class Collected:
    """The result of a run of the collector. `was_ever_up`: at least one connection was subscribed at some time."""

    messages: int
    was_ever_up: bool


def plan(
    markets: Sequence[Market], urls: Mapping[str, str], *, trades: bool = False, more: Sequence[Market] = ()
) -> list[VenuePlan]:
    """What to subscribe to: the liquidations of every venue in `urls` (venue → address), and the trades of `markets`.

    `more`: further markets whose liquidations are collected, where a venue requires per-symbol subscriptions. Such a
    venue is left out when it has no market here.
    """
    plans = []
    for venue, url in urls.items():
        feed = venue_of(venue).feed
        if feed is None:
            continue
        own = [market for market in markets if market.venue == venue]
        subscribed = list(dict.fromkeys([*own, *(market for market in more if market.venue == venue)]))
        subscriptions = feed.subscriptions(subscribed, trades=False, url=url)
        if trades:
            both = feed.subscriptions(own, trades=True, url=url)
            subscriptions += [each for each in both if each.dataset == LIVE_TRADES.name]
        if subscriptions:
            plans.append(VenuePlan(venue, feed, tuple(subscriptions)))
    return plans


class Collector:
    """Receives the feeds of `plans` and writes to `spool_dir` until it is stopped. `report` gets a line per change.

    `name`: distinguishes its files from those of other collectors of one storage.
    """

    def __init__(
        self,
        spool_dir: Path,
        plans: Sequence[VenuePlan],
        *,
        report: Callable[[str], None],
        name: str = "",
        fsync_seconds: float = 1.0,
        tuning: Tuning | None = None,
        clock: Callable[[], int] = time.time_ns,
        pending_limit: int = 8 << 20,
    ) -> None:
        self.spool_dir = spool_dir
        self.report = report
        self.clock = clock
        self.tuning = tuning or Tuning()
        self.spool = SpoolWriter(
            spool_dir, collector=name, fsync_seconds=fsync_seconds, pending_limit=pending_limit, clock=clock
        )
        self.connections = [
            FeedConnection(
                each.venue, subscription, each.feed, self.spool, clock=clock, report=report, tuning=self.tuning
            )
            for each in plans
            for subscription in each.subscriptions
        ]
        self._started_at = clock()
        self._coverage: list[tuple[str, VenueCoverage]] = []
        self._covered: dict[str, int] = {}
        self._dropped: dict[str, int] = {}
        self._reported_drops: set[str] = set()
        self._counted: dict[str, int] = {}
        self._up_since: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> Collected:
        """Collect until `stop`; everything received is then on disk. SpoolBusy, SpoolFailed."""
        with held(self.spool_dir):
            self._started_at = self.clock()
            self._coverage = self._planned_coverage()
            writing = asyncio.create_task(self.spool.run(), name="spool")
            collecting = [
                asyncio.create_task(connection.run(), name=connection.name) for connection in self.connections
            ]
            working = [*collecting, asyncio.create_task(self._tick(), name="tick")]
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({writing, stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*working, stopping):
                    task.cancel()
                ended = await asyncio.gather(*working, return_exceptions=True)
                self._note_coverage()
                self.spool.finish()
                await writing
            self._write_status(is_stopped=stop.is_set())
        for fault in ended:
            if isinstance(fault, Exception):
                raise fault
        messages = sum(each.messages for each in self.connections)
        return Collected(messages, any(each.was_ever_up for each in self.connections))

    def _planned_coverage(self) -> list[tuple[str, VenueCoverage]]:
        planned = []
        for venue, dataset in dict.fromkeys((each.venue, each.subscription.dataset) for each in self.connections):
            own = [each for each in self.connections if (each.venue, each.subscription.dataset) == (venue, dataset)]
            symbols = sorted({symbol for each in own for symbol in each.subscription.symbols})
            coverage = VenueCoverage(dataset, symbols, [each.coverage for each in own], self._started_at)
            planned.append((venue, coverage))
        return planned

    async def _tick(self) -> None:
        hour = self.clock() // HOUR_NS
        reported_at, written_at = time.monotonic(), 0.0
        while True:
            self._note_coverage()
            now = time.monotonic()
            if now - written_at >= _STATUS_SECONDS:
                self._write_status()
                written_at = now
            if any(connection.is_up for connection in self.connections):
                reported_at = now
            elif now - reported_at >= self.tuning.unreached:
                self.report(
                    f"no venue could be reached for {self.tuning.unreached:.0f} s; still trying, nothing is received"
                )
                reported_at = now
            if self.clock() // HOUR_NS != hour:
                self._report_hour(hour)
                hour = self.clock() // HOUR_NS
            await asyncio.sleep(self.tuning.tick)

    def _note_coverage(self) -> None:
        for venue, coverage in self._coverage:
            for minute in coverage.newly_covered(self.clock()):
                self.spool.append(venue, minute)
                if minute.dataset == LIQUIDATIONS.name:
                    self._covered[venue] = self._covered.get(venue, 0) + 1

        for connection in self.connections:
            for dropped in connection.allowance.taken():
                self.spool.append(connection.venue, dropped)
                self._dropped[connection.name] = self._dropped.get(connection.name, 0) + dropped.messages
                if connection.name not in self._reported_drops:
                    self._reported_drops.add(connection.name)
                    self.report(
                        f"{connection.name}: more in this hour than any venue sends; what exceeds it is not kept, "
                        "and counted as lost"
                    )

    def _report_hour(self, hour: int) -> None:
        """One log line an hour, as a sign of life."""
        received = dict.fromkeys((connection.venue for connection in self.connections), 0)
        for connection in self.connections:
            received[connection.venue] += connection.messages - self._counted.get(connection.name, 0)
            self._counted[connection.name] = connection.messages
        venues = "; ".join(
            f"{venue} {count:,} messages, {self._covered.get(venue, 0)} minutes covered"
            for venue, count in received.items()
        )
        venues += "".join(f"; {name} {count:,} messages not kept" for name, count in self._dropped.items())
        self._covered, self._dropped, self._reported_drops = {}, {}, set()
        self.report(f"hour {hour_label(hour * HOUR_NS)}: {venues}")

    def _write_status(self, *, is_stopped: bool = False) -> None:
        now = self.clock()
        self._up_since = {each.name: self._up_since.get(each.name, now) for each in self.connections if each.is_up}
        write_status(
            self.spool_dir,
            CollectorStatus(
                started_at=_instant(self._started_at),
                beat_at=_instant(now),
                pid=os.getpid(),
                connections=tuple(map(self._status_of, self.connections)),
                stopped_at=_instant(now) if is_stopped else None,
            ),
        )

    def _status_of(self, connection: FeedConnection) -> ConnectionStatus:
        subscription = connection.subscription
        return ConnectionStatus(
            name=connection.name,
            venue=connection.venue,
            is_up=connection.is_up,
            last_frame_at=_instant_or_none(connection.last_frame_ns),
            last_message_at=_instant_or_none(connection.last_message_ns),
            up_since=_instant_or_none(self._up_since.get(connection.name)),
            is_venue_wide=subscription.dataset == LIQUIDATIONS.name and not subscription.symbols,
        )


def _instant(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)


def _instant_or_none(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else _instant(at_ns)
