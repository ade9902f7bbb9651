"""Today, end to end: three venues are received, the collector is killed and goes on, and the API's part of the day is
there before the archive has it. Then the archive's file arrives.

Everything runs through the public command against venues of our own on loopback. Two things a test cannot wait for are
done by hand: an hour that ends (sealing is given a later time), and minutes received whole (they are written as the
collector writes them).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.live.seal import seal
from ingestion.live.spool import CoveredMinute, ReceivedMessage, SpoolReader, SpoolWriter, segments
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from tests.support import messages
from tests.support.archives import KLINE_HEADER, ArchiveFolder, millis
from tests.support.collecting import collecting
from tests.support.commands import Taker
from tests.support.venue_http import VenueServer as ApiServer
from tests.support.venue_server import VenueServer as FeedServer
from tests.support.venue_server import wait_for

pytestmark = pytest.mark.xdist_group("live")

MARKETS = "binance_um:BTCUSDT,bybit:BTCUSDT"
# 0.4 × 60,000.5 long on Binance; 0.5 × 60,000 long and 0.1 × 60,000 short on Bybit; 39 contracts of 0.01 short on OKX.
LONG_USD, SHORT_USD = Decimal("24000.2") + 30000, Decimal("6000") + Decimal("23400.195")
MINUTE_NS = 60 * 10**9


@dataclass
class Live:
    """What the first part left: a root with sealed liquidations, the archive and the api beside it."""

    taker: Taker
    archive: ArchiveFolder
    api: ApiServer
    yesterday: date
    facts: dict[str, Any]

    def kline_rows(self, day: date) -> list[str]:
        """The archive's bars of a day, the very ones that the api gave."""
        return [",".join(map(str, self.api.bar(millis(day, hour * 3600)))) for hour in range(24)]

    def publish_day(self, day: date) -> None:
        key = f"data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip"
        self.archive.put(key, self.kline_rows(day), KLINE_HEADER)

    def run(self) -> dict[str, Any]:
        answer = self.taker.done("run", "--markets", MARKETS, "--from", f"{self.yesterday - timedelta(days=2)}")
        assert isinstance(answer, dict)
        return answer


def bybit_rows(day: date) -> list[str]:
    """A trade a minute of 20,000 USD on average; every third taker sells. Not all alike, which would be no market."""
    start = millis(day) // 1000
    kinds = ["0.4,40300.0,PlusTick,id-{},0,0.4,16120.0", "0.6,39800.0,MinusTick,id-{},0,0.6,23880.0"]
    return [
        f"{start + 60 * n}.5,BTCUSDT,{'Sell' if n % 3 == 0 else 'Buy'},{kinds[n // 3 % 2].format(n)}"
        for n in range(24 * 60)
    ]


def cover(spool: Path, venue: str, minutes: int, at_ms: int, *symbols: str) -> None:
    """Minutes of the hour of an instant that were received whole, from its first on."""

    async def write() -> None:
        writer = SpoolWriter(spool)
        hour = at_ms * 1_000_000 // (60 * MINUTE_NS) * 60 * MINUTE_NS
        for minute in range(minutes):
            writer.append(venue, CoveredMinute(hour + minute * MINUTE_NS, "liquidations", symbols))
        writer.finish()
        await writer.run()

    asyncio.run(write())


def on_disk(spool: Path) -> Counter[str]:
    """How many messages of each venue the files of the spool hold."""
    return Counter(
        segment.venue
        for segment in segments(spool)
        for record in SpoolReader(segment.path)
        if isinstance(record, ReceivedMessage)
    )


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    root = tmp_path_factory.mktemp("live")
    storage, spool = root / "var", root / "var" / "spool"
    archive = ArchiveFolder(root / "binance")
    bybit = ArchiveFolder(root / "bybit")
    with ExitStack() as stack:
        api = stack.enter_context(ApiServer().running())
        feeds = {venue: stack.enter_context(FeedServer().running()) for venue in ("binance_um", "bybit", "okx")}
        urls = {venue: feed.url for venue, feed in feeds.items()}
        at = time.time_ns() // 1_000_000
        yesterday = datetime.fromtimestamp(at / 1000, UTC).date() - timedelta(days=1)

        with collecting(storage, urls, markets=MARKETS) as first:
            for connection in ("binance_um", "bybit linear", "okx"):
                first.prints(f"{connection}: connected")
            feeds["binance_um"].say(messages.force_order(at=at))
            feeds["bybit"].say(messages.all_liquidation(("Buy", "0.5", "60000"), ("Sell", "0.1", "60000"), at=at))
            # The same order again: what is repeated counts once. What is on disk no kill takes away.
            feeds["binance_um"].say(messages.force_order(at=at))
            wait_for(lambda: on_disk(spool) >= Counter(binance_um=2, bybit=1), "what was sent, on disk")
            assert first.ended(signal.SIGKILL) == -signal.SIGKILL
        with collecting(storage, urls, markets=MARKETS) as second:
            second.prints("okx: connected")
            feeds["okx"].say(messages.liquidation_order("buy", "short", at=at))
            assert second.ended(signal.SIGTERM) == 0

        cover(spool, "binance_um", 60, at)
        cover(spool, "bybit", 60, at, "BTCUSDT")
        cover(spool, "okx", 30, at)
        zone = RawZone(open_store(storage))
        sealed = seal(spool, zone, now=datetime.now(UTC) + timedelta(hours=2))
        assert sum(each.rows for each in sealed) == 4

        # OKX is not configured; as its feed was received, its contracts are requested.
        places = {"binance_um.rest": api.url, "okx.rest": api.url, "bybit.archive": bybit.url}
        taker = Taker(
            storage,
            {
                "TAKER_ARCHIVE_URL": archive.url,
                "TAKER_VENUE_URLS": ",".join(f"{place}={url}" for place, url in places.items()),
                "TAKER_FIRST_DAY": f"{yesterday - timedelta(days=2)}",
            },
        )
        made = Live(taker, archive, api, yesterday, {})
        for ago in (2, 1):
            made.publish_day(yesterday - timedelta(days=ago))
            bybit.bybit_trades(yesterday - timedelta(days=ago), bybit_rows(yesterday - timedelta(days=ago)))
        made.facts = made.run()
        yield made


class TestBeforeTheArchive:
    def test_long_and_short_of_three_venues_are_one_total_with_its_coverage(self, live: Live) -> None:
        rows = live.taker.query(
            "select market_id, long_usd, short_usd, order_count, is_lower_bound, venue_set, coverage_ratio"
            " from fct_liquidations_rolling_24h where market_id like '%:ALL'"
            " qualify row_number() over (partition by market_id order by as_of_at desc) = 1 order by market_id"
        )
        by_market = {row[0]: row[1:] for row in rows}
        everywhere = by_market["all:ALL"]
        assert everywhere[:5] == (LONG_USD, SHORT_USD, 4, True, "binance_um,bybit,okx")
        # One hour of the 24, and only half of it on the third venue.
        assert everywhere[5] == pytest.approx((60 + 60 + 30) / (3 * 24 * 60), abs=0.001)
        assert by_market["binance_um:ALL"][:3] == (Decimal("24000.2"), 0, 1)
        assert by_market["bybit:ALL"][:3] == (30000, 6000, 2)
        assert by_market["okx:ALL"][:3] == (0, Decimal("23400.195"), 1)

    def test_what_the_archive_lacks_comes_from_the_api_and_is_provisional(self, live: Live) -> None:
        rows = live.taker.query(
            "select bar_date, flow_source, is_provisional, volume_usd from fct_net_taker_volume_daily"
            f" where market_id = 'binance_um:BTCUSDT' and bar_date <= '{live.yesterday}' order by bar_date"
        )
        assert [row[1:3] for row in rows] == [("klines", False), ("klines", False), ("rest_klines", True)]
        bars = [live.api.bar(millis(live.yesterday, hour * 3600)) for hour in range(24)]
        assert rows[-1][3] == sum(Decimal(bar[7]) for bar in bars)

    def test_two_venues_are_also_one_market(self, live: Live) -> None:
        day = live.yesterday - timedelta(days=1)
        rows = live.taker.query(
            "select market_id, venue_set, net_taker_usd from fct_net_taker_volume_daily"
            f" where bar_date = '{day}' order by market_id"
        )
        by_market = {row[0]: row[1:] for row in rows}
        assert by_market["all:BTC"][0] == "binance_um,bybit"
        assert by_market["all:BTC"][1] == by_market["binance_um:BTCUSDT"][1] + by_market["bybit:BTCUSDT"][1]
        # A third of 1440 trades of 20,000 USD was sold.
        assert by_market["bybit:BTCUSDT"][1] == (960 - 480) * 20000

    def test_the_run_shows_what_was_liquidated(self, live: Live) -> None:
        total = {row["market_id"]: row for row in live.facts["liquidations_24h"]}["all:ALL"]
        assert Decimal(total["long_usd"]) == LONG_USD
        assert total["is_lower_bound"]


class TestWhenTheFileArrives:
    def test_it_takes_the_place_of_the_provisional_hours_and_the_two_are_compared(self, live: Live) -> None:
        live.publish_day(live.yesterday)
        live.run()
        (day,) = live.taker.query(
            "select flow_source, is_provisional, coverage_ratio from fct_net_taker_volume_daily"
            f" where market_id = 'binance_um:BTCUSDT' and bar_date = '{live.yesterday}'"
        )
        assert day == ("klines", False, 1)
        (compared,) = live.taker.query(
            "select rest_hours, rest_difference_usd, rest_verdict from fct_flow_reconciliation_daily"
            f" where market_id = 'binance_um:BTCUSDT' and bar_date = '{live.yesterday}'"
        )
        assert compared == (24, 0, "exact")
