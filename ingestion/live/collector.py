"""The collector: every line of every venue, one spool, and what it says of itself.

Belongs here: what is listened to, starting and stopping together, coverage and status while it runs.
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
from ingestion.live.connection import Line, Tuning
from ingestion.live.coverage import VenueCoverage
from ingestion.live.spool import HOUR_NS, SpoolWriter, held, hour_label
from ingestion.live.status import CollectorStatus, ConnectionStatus, write_status
from ingestion.venues import venue_of
from ingestion.venues.venue import Subscription, VenueFeed

_STATUS_SECONDS: Final = 2.0


@dataclass(frozen=True)
class VenuePlan:
    """What is listened to at one venue."""

    venue: str
    feed: VenueFeed
    subscriptions: tuple[Subscription, ...]


@dataclass(frozen=True)
class Collected:
    """How a run of the collector went. `was_ever_up`: at least one connection was subscribed at some time."""

    messages: int
    was_ever_up: bool


def plan(
    markets: Sequence[Market], urls: Mapping[str, str], *, trades: bool = False, more: Sequence[Market] = ()
) -> list[VenuePlan]:
    """What to listen to: the liquidations of every venue in `urls` (venue → address), and the trades of `markets`.

    `more`: markets whose liquidations are wanted too, where a venue must be told each symbol. Such a venue is left out
    when there is no market of it at all.
    """
    plans = []
    for venue, url in urls.items():
        feed = venue_of(venue).feed
        if feed is None:
            continue
        own = [market for market in markets if market.venue == venue]
        heard = list(dict.fromkeys([*own, *(market for market in more if market.venue == venue)]))
        subscriptions = feed.subscriptions(heard, trades=False, url=url)
        if trades:
            both = feed.subscriptions(own, trades=True, url=url)
            subscriptions += [each for each in both if each.dataset == LIVE_TRADES.name]
        if subscriptions:
            plans.append(VenuePlan(venue, feed, tuple(subscriptions)))
    return plans


class Collector:
    """Listens to `plans` and writes to `spool_dir` until it is told to stop. `report` gets one line per change."""

    def __init__(
        self,
        spool_dir: Path,
        plans: Sequence[VenuePlan],
        *,
        report: Callable[[str], None],
        fsync_seconds: float = 1.0,
        tuning: Tuning | None = None,
        clock: Callable[[], int] = time.time_ns,
        pending_limit: int = 8 << 20,
    ) -> None:
        self.spool_dir = spool_dir
        self.report = report
        self.clock = clock
        self.tuning = tuning or Tuning()
        self.spool = SpoolWriter(spool_dir, fsync_seconds=fsync_seconds, pending_limit=pending_limit, clock=clock)
        self.lines = [
            Line(each.venue, subscription, each.feed, self.spool, clock=clock, report=report, tuning=self.tuning)
            for each in plans
            for subscription in each.subscriptions
        ]
        self._started_at = clock()
        self._coverage: list[tuple[str, VenueCoverage]] = []
        self._covered: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._up_since: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> Collected:
        """Listen until `stop`; everything heard is then on disk. SpoolBusy, SpoolFailed."""
        with held(self.spool_dir):
            self._started_at = self.clock()
            self._coverage = self._planned_coverage()
            writing = asyncio.create_task(self.spool.run(), name="spool")
            listening = [asyncio.create_task(line.run(), name=line.name) for line in self.lines]
            working = [*listening, asyncio.create_task(self._tick(), name="tick")]
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
        return Collected(sum(line.messages for line in self.lines), any(line.was_ever_up for line in self.lines))

    def _planned_coverage(self) -> list[tuple[str, VenueCoverage]]:
        planned = []
        for venue, dataset in dict.fromkeys((line.venue, line.subscription.dataset) for line in self.lines):
            lines = [line for line in self.lines if (line.venue, line.subscription.dataset) == (venue, dataset)]
            symbols = sorted({symbol for line in lines for symbol in line.subscription.symbols})
            coverage = VenueCoverage(dataset, symbols, [line.coverage for line in lines], self._started_at)
            planned.append((venue, coverage))
        return planned

    async def _tick(self) -> None:
        hour = self.clock() // HOUR_NS
        said_at, written_at = time.monotonic(), 0.0
        while True:
            self._note_coverage()
            now = time.monotonic()
            if now - written_at >= _STATUS_SECONDS:
                self._write_status()
                written_at = now
            if any(line.is_up for line in self.lines):
                said_at = now
            elif now - said_at >= self.tuning.unreached:
                self.report(
                    f"no venue could be reached for {self.tuning.unreached:.0f} s; still trying, nothing is heard"
                )
                said_at = now
            if self.clock() // HOUR_NS != hour:
                self._say_hour(hour)
                hour = self.clock() // HOUR_NS
            await asyncio.sleep(self.tuning.tick)

    def _note_coverage(self) -> None:
        for venue, coverage in self._coverage:
            for minute in coverage.newly_covered(self.clock()):
                self.spool.append(venue, minute)
                if minute.dataset == LIQUIDATIONS.name:
                    self._covered[venue] = self._covered.get(venue, 0) + 1

    def _say_hour(self, hour: int) -> None:
        """One line an hour, so that a log shows that it lives."""
        heard = dict.fromkeys((line.venue for line in self.lines), 0)
        for line in self.lines:
            heard[line.venue] += line.messages - self._counted.get(line.name, 0)
            self._counted[line.name] = line.messages
        venues = "; ".join(
            f"{venue} {count:,} messages, {self._covered.get(venue, 0)} minutes covered"
            for venue, count in heard.items()
        )
        self._covered = {}
        self.report(f"hour {hour_label(hour * HOUR_NS)}: {venues}")

    def _write_status(self, *, is_stopped: bool = False) -> None:
        now = self.clock()
        self._up_since = {line.name: self._up_since.get(line.name, now) for line in self.lines if line.is_up}
        write_status(
            self.spool_dir,
            CollectorStatus(
                started_at=_instant(self._started_at),
                beat_at=_instant(now),
                pid=os.getpid(),
                connections=tuple(
                    ConnectionStatus(
                        name=line.name,
                        venue=line.venue,
                        is_up=line.is_up,
                        last_frame_at=_instant_or_none(line.last_frame_ns),
                        last_message_at=_instant_or_none(line.last_message_ns),
                        up_since=_instant_or_none(self._up_since.get(line.name)),
                        is_venue_wide=line.subscription.dataset == LIQUIDATIONS.name and not line.subscription.symbols,
                    )
                    for line in self.lines
                ),
                stopped_at=_instant(now) if is_stopped else None,
            ),
        )


def _instant(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, UTC)


def _instant_or_none(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else _instant(at_ns)
