"""The collector against a venue that misbehaves: what it loses, what it reports, what it proves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.domain.markets import Market
from ingestion.live.collector import Collected, Collector, VenuePlan, plan
from ingestion.live.connection import Tuning
from ingestion.live.seal import Sealed, seal
from ingestion.live.spool import CoveredMinute, ReceivedMessage, SpoolBusy, SpoolReader, segments
from ingestion.live.status import read_status
from ingestion.raw.stores import open_store
from ingestion.raw.zone import ObjectId, RawZone
from ingestion.venues import parse_market
from tests.support import messages
from tests.support.venue_server import DEADLINE, VenueServer, until

IMPATIENT = Tuning(first_backoff=0.02, longest_backoff=0.1, opening=2.0, overlap=0.1, tick=0.02, unreached=0.2)
BITCOIN = parse_market("binance_um:BTCUSDT")


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    with VenueServer().running() as server:
        yield server


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def plans_of(
    url: str, venue: str = "binance_um", *markets: Market, trades: bool = False, silence: float = 60.0
) -> list[VenuePlan]:
    (planned,) = plan(markets, {venue: url}, trades=trades)
    impatient = tuple(replace(each, silence_seconds=silence, heartbeat_seconds=0.1) for each in planned.subscriptions)
    return [replace(planned, subscriptions=impatient)]


class Running:
    """A collector that runs beside a scenario, and what it printed."""

    def __init__(self, spool: Path, plans: list[VenuePlan], **options: Any) -> None:
        self.reports: list[str] = []
        settings: dict[str, Any] = {"fsync_seconds": 0.02, "tuning": IMPATIENT} | options
        self.collector = Collector(spool, plans, report=self.reports.append, **settings)

    def run(self, scenario: Callable[[Running], Any]) -> Collected:
        async def both() -> Collected:
            stop = asyncio.Event()
            running = asyncio.create_task(self.collector.run(stop))
            try:
                await scenario(self)
            finally:
                stop.set()
                collected = await running
            return collected

        return asyncio.run(both())

    async def reported(self, words: str, times: int = 1) -> None:
        """Until it was reported `times` times."""
        await until(
            lambda: len([line for line in self.reports if words in line]) >= times, f"`{words}` in {self.reports}"
        )

    async def received(self, count: int) -> None:
        await until(lambda: sum(each.messages for each in self.collector.connections) >= count, f"{count} messages")


async def in_thread(act: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(act, *arguments)


def spooled(spool: Path) -> list[ReceivedMessage]:
    records = [record for segment in segments(spool) for record in SpoolReader(segment.path)]
    return [record for record in records if isinstance(record, ReceivedMessage)]


def sealed_rows(spool: Path, storage: Path, dataset: str = "liquidations") -> tuple[list[dict[str, Any]], list[Sealed]]:
    zone = RawZone(open_store(storage))
    sealed = seal(spool, zone, now=datetime.now(UTC) + timedelta(hours=2))
    objects = [each for each in sealed if each.dataset == dataset]
    from ingestion.domain.periods import Period

    found = [
        zone.rows(ObjectId(each.dataset, parse_market(each.market_id), "", Period.of_day(each.day))) for each in objects
    ]
    return [row for table in found for row in table.to_pylist()], objects


# ---- the ordinary course ----


def test_messages_are_on_disk_as_received_and_become_rows(tmp_path: Path, venue: VenueServer) -> None:
    sent = [messages.force_order(at=now_ms() + n) for n in range(3)]

    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        await in_thread(venue.say, *sent)
        await running.received(3)

    collected = Running(tmp_path / "spool", plans_of(venue.url)).run(scenario)
    assert collected == Collected(messages=3, was_ever_up=True)
    assert [record.message.decode() for record in spooled(tmp_path / "spool")] == sent
    assert len(sealed_rows(tmp_path / "spool", tmp_path / "storage")[0]) == 3


def test_every_venue_gets_its_own_subscription_and_its_acceptance_makes_the_connection_up(tmp_path: Path) -> None:
    with VenueServer().running() as okx, VenueServer().running() as bybit:

        async def scenario(running: Running) -> None:
            for report in ("okx: connected", "bybit linear: connected"):
                await running.reported(report)
            await until(lambda: "ping" in okx.ever[0].sent, "the text ping of OKX")
            await until(lambda: '{"op":"ping"}' in bybit.ever[0].sent, "the ping of Bybit")

        plans = plans_of(okx.url, "okx") + plans_of(bybit.url, "bybit", parse_market("bybit:BTCUSDT"))
        Running(tmp_path, plans).run(scenario)
    assert "liquidation-orders" in okx.ever[0].sent[0]
    assert bybit.ever[0].path == "/linear"


def test_the_status_shows_which_connections_are_up_and_their_last_messages(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        def first() -> Any:
            status = read_status(tmp_path)
            return status.connections[0] if status else None

        await until(lambda: first() is not None, "the first status")
        await running.reported("binance_um: connected")
        await in_thread(venue.say, messages.force_order(at=now_ms()))
        await until(lambda: first().is_up and first().last_message_at, "a status that shows it")

        assert first().is_venue_wide
        assert read_status(tmp_path).started_at <= first().up_since <= read_status(tmp_path).beat_at
        assert read_status(tmp_path).stopped_at is None

    assert read_status(tmp_path) is None
    Running(tmp_path, plans_of(venue.url)).run(scenario)
    status = read_status(tmp_path)
    assert status is not None
    assert [(each.name, each.venue, each.is_up) for each in status.connections] == [("binance_um", "binance_um", False)]
    assert status.started_at <= status.connections[0].last_frame_at <= status.beat_at
    assert (status.stopped_at, status.connections[0].up_since) == (status.beat_at, None)


# ---- when the venue misbehaves ----


def test_a_dropped_connection_comes_back_and_goes_on(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        for times in (1, 2, 3):
            await running.reported("binance_um: connected", times)
            await in_thread(venue.say, messages.force_order(at=now_ms()))
            await running.received(times)
            await in_thread(venue.drop)
            await running.reported("lost", times)

    Running(tmp_path, plans_of(venue.url)).run(scenario)
    assert len(spooled(tmp_path)) == 3


def test_silence_of_a_half_open_connection_is_noticed(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        await in_thread(venue.go_silent)
        await running.reported("silent for")
        await running.reported("binance_um: connected", 2)

    Running(tmp_path, plans_of(venue.url, silence=0.5)).run(scenario)


def test_a_quiet_venue_that_answers_pings_stays_connected(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        connection = running.collector.connections[0]
        first = connection.last_frame_ns or 0
        await until(lambda: (connection.last_frame_ns or 0) - first > 900_000_000, "pongs over three silence windows")

    running = Running(tmp_path, plans_of(venue.url, silence=0.3))
    running.run(scenario)
    assert not [line for line in running.reports if "lost" in line]


def test_the_cut_after_a_day_is_answered_by_a_new_connection(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        await in_thread(venue.cut)
        await running.reported("24 hours")
        await running.reported("binance_um: connected", 2)

    Running(tmp_path, plans_of(venue.url)).run(scenario)


def test_a_rotation_before_the_cut_leaves_no_gap_and_counts_nothing_twice(tmp_path: Path, venue: VenueServer) -> None:
    """The venue sends all the while on every connection; a connection may last for half a second only."""
    number = 0

    async def scenario(running: Running) -> None:
        nonlocal number
        await running.reported("binance_um: connected")
        until_then = time.monotonic() + DEADLINE
        while len([line for line in running.reports if "connected anew" in line]) < 3:
            assert time.monotonic() < until_then
            number += 1
            await in_thread(venue.say, messages.force_order(at=now_ms(), z=str(number)))
        await until(lambda: running.collector.connections[0].messages >= number, "the last message")

    short = [replace(each, feed=replace(each.feed, longest_connection_seconds=0.5)) for each in plans_of(venue.url)]
    running = Running(tmp_path / "spool", short)
    collected = running.run(scenario)
    assert not [line for line in running.reports if "lost" in line]
    assert collected.messages > number  # received on both while they overlapped
    rows, _ = sealed_rows(tmp_path / "spool", tmp_path / "storage")
    assert sorted(int(row["quantity"]) for row in rows) == [*range(1, number + 1)]


def test_a_rotation_that_fails_keeps_the_old_connection(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        venue.refuse_with = 429
        await running.reported("could not connect anew (refused with HTTP 429 (too many connections))")
        await in_thread(venue.say, messages.force_order(at=now_ms()))
        await running.received(1)
        venue.refuse_with = None
        await running.reported("connected anew, before the cut")

    short = [replace(each, feed=replace(each.feed, longest_connection_seconds=0.3)) for each in plans_of(venue.url)]
    Running(tmp_path, short).run(scenario)


def test_duplicates_disorder_bad_json_and_skewed_clocks_end_in_one_row_each(tmp_path: Path, venue: VenueServer) -> None:
    at = now_ms()
    one, two, three = (messages.force_order(at=at + n, z=str(n + 1)) for n in range(3))
    skewed = messages.force_order(at=at + 4000, z="4")  # the venue's clock is ahead
    of_another_day = messages.force_order(at=at - 3 * 86_400_000, z="5")
    sent = [three, one, "{not json", two, one, skewed, of_another_day]

    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        await in_thread(venue.say, *sent)
        await running.received(len(sent))

    Running(tmp_path / "spool", plans_of(venue.url)).run(scenario)
    rows, sealed = sealed_rows(tmp_path / "spool", tmp_path / "storage")
    assert [int(row["quantity"]) for row in rows] == [1, 2, 3, 4]
    receipts = [each.receipt for each in sealed]
    assert sum(receipt.malformed_messages for receipt in receipts) == 1
    assert sum(receipt.misdated_rows for receipt in receipts) == 1
    assert sum(receipt.duplicate_rows for receipt in receipts) == 1


def test_a_refused_subscription_is_reported_and_tried_again(tmp_path: Path, venue: VenueServer) -> None:
    venue.refusal = '{"event":"error","code":"60018","msg":"Wrong URL or channel"}'

    async def scenario(running: Running) -> None:
        await running.reported("okx: not connected (the venue refused the subscription: Wrong URL or channel)", 2)
        assert not running.collector.connections[0].is_up
        venue.refusal = None
        await running.reported("okx: connected")

    Running(tmp_path, plans_of(venue.url, "okx")).run(scenario)


def test_a_subscription_that_is_never_answered_is_no_connection(tmp_path: Path, venue: VenueServer) -> None:
    venue.answers = False

    async def scenario(running: Running) -> None:
        await running.reported("okx: not connected (the venue did not answer to the subscription)")

    impatient = replace(IMPATIENT, opening=0.1)
    Running(tmp_path, plans_of(venue.url, "okx"), tuning=impatient).run(scenario)


@pytest.mark.parametrize("name", ["okx", "bybit"])
def test_a_venue_that_answers_pings_and_no_subscription_is_never_up(
    tmp_path: Path, venue: VenueServer, name: str
) -> None:
    venue.accepts = False
    venue.greeting = ['{"event":"notice","msg":"welcome"}', "pong", '{"success":true,"ret_msg":"pong","op":"ping"}']

    async def scenario(running: Running) -> None:
        await running.received(6)
        await running.reported("not connected (the venue did not answer to the subscription)", 2)

    impatient = replace(IMPATIENT, opening=0.2)
    running = Running(tmp_path, plans_of(venue.url, name, parse_market("bybit:BTCUSDT")), tuning=impatient)
    assert not running.run(scenario).was_ever_up


@pytest.mark.parametrize(
    ("status", "headers", "least"),
    [
        (429, {}, 30),
        (451, {}, 30),
        (403, {"Retry-After": "45"}, 45),
        (418, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 3 * 86_400),
        (418, {"Retry-After": "soon"}, 30),
    ],
)
def test_a_rate_limited_connection_waits_for_retry_after_and_at_least_the_longest_backoff(
    tmp_path: Path, venue: VenueServer, status: int, headers: dict[str, str], least: int
) -> None:
    venue.refuse_with, venue.refuse_headers = status, headers

    async def scenario(running: Running) -> None:
        await running.reported("trying again in")

    running = Running(tmp_path, plans_of(venue.url), tuning=replace(IMPATIENT, longest_backoff=30))
    running.run(scenario)
    assert pauses(running) == [pytest.approx(least, abs=1)]
    assert venue.refused == 1


def test_a_ban_that_goes_on_is_waited_out_for_twice_as_long_each_time(tmp_path: Path, venue: VenueServer) -> None:
    venue.refuse_with = 418

    async def scenario(running: Running) -> None:
        await running.reported("trying again in", 4)

    tuning = replace(IMPATIENT, longest_backoff=0.2, longest_ban=0.7)
    running = Running(tmp_path, plans_of(venue.url), tuning=tuning)
    running.run(scenario)
    assert pauses(running) == [pytest.approx(pause, abs=0.11) for pause in (0.2, 0.4, 0.7, 0.7)]


def test_failed_rotations_are_forgotten_once_one_succeeds(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        venue.refuse_with = 503
        await running.reported("could not connect anew", 4)
        venue.refuse_with = None
        await running.reported("connected anew, before the cut")
        await in_thread(venue.drop)
        await running.reported("trying again in")

    short = [replace(each, feed=replace(each.feed, longest_connection_seconds=0.3)) for each in plans_of(venue.url)]
    running = Running(tmp_path, short, tuning=replace(IMPATIENT, first_backoff=0.1, longest_backoff=60))
    running.run(scenario)
    assert pauses(running)[0] <= 0.1


def pauses(running: Running) -> list[float]:
    """Seconds before each next attempt, as reported."""
    pauses = [line.rpartition("trying again in ")[2] for line in running.reports if "trying again in" in line]
    return [float(each.removesuffix(" s")) for each in pauses]


def test_a_venue_that_bars_this_location_is_reported_and_the_others_go_on(tmp_path: Path, venue: VenueServer) -> None:
    with VenueServer().running() as barred:
        barred.refuse_with = 451

        async def scenario(running: Running) -> None:
            await running.reported("okx: not connected (refused with HTTP 451 (not offered here))")
            await running.reported("binance_um: connected")

        Running(tmp_path, plans_of(venue.url) + plans_of(barred.url, "okx")).run(scenario)


def test_no_reachable_venue_is_reported_and_retried_for_ever(tmp_path: Path) -> None:
    with VenueServer().running() as gone:
        url = gone.url

    async def scenario(running: Running) -> None:
        await running.reported("no venue could be reached for 0 s; still trying, nothing is received", 2)

    collected = Running(tmp_path, plans_of(url)).run(scenario)
    assert not collected.was_ever_up


# ---- limits ----


def test_a_burst_is_held_back_at_the_socket_and_nothing_of_it_is_lost(tmp_path: Path, venue: VenueServer) -> None:
    """The whole burst, 50,000 a second for ten seconds, is a benchmark (`make bench`)."""
    at, count = now_ms(), 20_000

    async def scenario(running: Running) -> None:
        await running.reported("binance_um trades: connected")
        await until(lambda: venue.callers and "aggTrade" in venue.callers[-1].path, "the connection of trades")
        venue.burst(lambda n: messages.agg_trade(number=n, at=at), count)
        await running.received(count)

    trades = plans_of(venue.url, "binance_um", BITCOIN, trades=True)
    only_trades = [replace(trades[0], subscriptions=trades[0].subscriptions[1:])]
    running = Running(tmp_path, only_trades, pending_limit=100_000)
    running.run(scenario)
    numbers = [int(record.message.split(b'"a": ')[1].split(b",")[0]) for record in spooled(tmp_path)]
    assert numbers == [*range(count)]
    assert running.collector.spool.peak_pending < 101_000


def test_a_disk_that_fills_ends_the_collector_with_a_sentence(tmp_path: Path, venue: VenueServer) -> None:
    from ingestion.live.spool import SpoolFailed

    (tmp_path / "binance_um").write_text("in the way")

    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        await in_thread(venue.say, messages.force_order(at=now_ms()))
        await asyncio.Event().wait()

    async def run() -> None:
        collector = Collector(tmp_path, plans_of(venue.url), report=lambda line: None, fsync_seconds=0.02)
        running = asyncio.create_task(collector.run(asyncio.Event()))
        with suppress(AssertionError):
            await until(lambda: venue.callers, "the connection")
            await in_thread(venue.say, messages.force_order(at=now_ms()))
        await running

    with pytest.raises(SpoolFailed, match="cannot be written"):
        asyncio.run(run())


def test_a_fault_of_our_own_ends_the_collector_instead_of_looking_like_the_network(
    tmp_path: Path, venue: VenueServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, message: bytes) -> str | None:
        raise ZeroDivisionError

    async def run() -> None:
        plans = plans_of(venue.url)
        monkeypatch.setattr(type(plans[0].feed), "refusal", broken)
        running = asyncio.create_task(Collector(tmp_path, plans, report=print, tuning=IMPATIENT).run(asyncio.Event()))
        await until(lambda: venue.callers, "the connection")
        await in_thread(venue.say, messages.force_order(at=now_ms()))
        await asyncio.wait_for(running, DEADLINE)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


def test_a_second_collector_does_not_begin(tmp_path: Path, venue: VenueServer) -> None:
    async def scenario(running: Running) -> None:
        await running.reported("binance_um: connected")
        with pytest.raises(SpoolBusy):
            await Collector(tmp_path, plans_of(venue.url), report=print).run(asyncio.Event())

    Running(tmp_path, plans_of(venue.url)).run(scenario)


# ---- coverage ----


def test_minutes_are_proven_by_pongs_and_recorded_in_the_spool(tmp_path: Path, venue: VenueServer) -> None:
    """A clock that goes on by a quarter of a minute with each pong, so that seven minutes need no time at all."""
    whole_hour, passed = now_ms() // 3_600_000 * 3_600_000_000_000, 0

    def clock() -> int:
        return whole_hour + passed

    def covered() -> list[int]:
        records = [record for segment in segments(tmp_path) for record in SpoolReader(segment.path)]
        found = [record.minute_ns for record in records if isinstance(record, CoveredMinute)]
        return [(minute - whole_hour) // 60_000_000_000 for minute in found]

    async def scenario(running: Running) -> None:
        nonlocal passed
        await running.reported("binance_um: connected")
        (connection,) = running.collector.connections
        for _ in range(4 * 7):
            passed += 15_000_000_000
            await until(lambda: (connection.last_frame_ns or 0) >= clock(), "a pong")
        await until(lambda: 6 in covered(), "the seventh minute on disk")

    planned = [
        replace(each, subscriptions=tuple(replace(s, heartbeat_seconds=0.05) for s in each.subscriptions))
        for each in plans_of(venue.url)
    ]
    Running(tmp_path, planned, clock=clock).run(scenario)
    minutes = covered()
    assert minutes[0] <= 1
    assert minutes == [*range(minutes[0], 7)]
