"""Bybit through the public command: files in its layout become bars with the right side and the right dollars.

There are no klines beside them, so what the trades say is all there is. One run, of one day of two markets.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.archives import ArchiveFolder
from tests.support.commands import Taker

DAY = date(2026, 1, 5)
LINEAR, INVERSE = "bybit:BTCUSDT", "bybit:BTCUSD"


def row(symbol: str, hour: float, side: str, size: str, price: str, n: int) -> str:
    at = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp() + hour * 3600)
    return f"{at}.{n:04},{symbol},{side},{size},{price},PlusTick,{symbol}-{n},0,{size},0.0123456789012345"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    folder = ArchiveFolder(tmp_path_factory.mktemp("bybit") / "archive")
    linear = [
        row("BTCUSDT", 9.5, "Sell", "0.25", "90000.5", 3),
        row("BTCUSDT", 9.25, "Buy", "0.125", "90000", 2),
        row("BTCUSDT", 1, "Buy", "1e-03", "91000", 1),
    ]
    folder.bybit_trades(DAY, [*linear, linear[0]])  # newest first, as in older files, and one of them twice
    inverse = [row("BTCUSD", 9, "Sell", "700", "90000", 1), row("BTCUSD", 9.5, "Buy", "450", "45000", 2)]
    folder.bybit_trades(DAY, inverse, symbol="BTCUSD")
    settings = {
        "TAKER_MARKETS": f"{LINEAR},{INVERSE}",
        "TAKER_VENUE_URLS": f"bybit.archive={folder.url}",
        "TAKER_TRADES_DATASET": "trades",
    }
    taker = Taker(tmp_path_factory.mktemp("store"), settings)
    assert taker.done("run", "--from", str(DAY), "--to", str(DAY))["published"]
    return taker


def test_every_hour_has_the_takers_side_and_its_dollars(published: Taker) -> None:
    assert published.query(
        "select market_id, hour(bar_at), taker_buy_usd, taker_sell_usd, net_taker_usd, flow_source "
        "from fct_net_taker_volume_hourly where taker_buy_usd + taker_sell_usd > 0 order by all"
    ) == [
        # One contract of BTCUSD is one dollar, whatever the price.
        (INVERSE, 9, Decimal(450), Decimal(700), Decimal(-250), "trades"),
        (LINEAR, 1, Decimal(91), Decimal(0), Decimal(91), "trades"),
        (LINEAR, 9, Decimal(11250), Decimal("22500.125"), Decimal("-11250.125"), "trades"),
    ]


def test_a_day_of_inverse_trades_is_worth_their_contracts_over_their_prices_in_base(published: Taker) -> None:
    (found,) = published.query(
        f"select taker_buy_base, taker_sell_base from fct_net_taker_volume_daily where market_id = '{INVERSE}'"
    )
    assert found == (Decimal("0.01"), Decimal("0.00777778"))


def test_the_receipt_says_that_nobody_published_a_checksum(published: Taker) -> None:
    place = Path(published.storage, f"raw/trades/venue=bybit/symbol=BTCUSDT/date={DAY}/receipt.json")
    receipt = json.loads(place.read_text())
    (source,) = receipt["sources"]
    assert source["key"] == f"trading/BTCUSDT/BTCUSDT{DAY}.csv.gz"
    assert source["fingerprint"] == f"no published checksum; sha256={source['sha256']}"
    assert (receipt["rows"], receipt["duplicate_rows"]) == (3, 1)
