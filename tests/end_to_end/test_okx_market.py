"""OKX's files through the public command, on an archive of the test's own making: a market of trades alone.

Three UTC days are made of four files, each a day of UTC+8; one hour is checked on either side of every cut. Beside them
is a market of Binance, so that what a market of three days is: published, not ranked, and on the side of its numbers.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.archives import KLINE_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

FIRST = date(2026, 1, 5)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
# Its second file is not published yet.
LAST = FIRST + timedelta(days=3)
SWAP, INVERSE, DATED, UNSIZED = "BTC-USDT-SWAP", "BTC-USD-SWAP", "BTC-USD-260106", "SOL-USDT-SWAP"
BINANCE = "binance_um:BTCUSDT"
SYMBOLS = (SWAP, INVERSE, DATED, UNSIZED)
MARKETS = ",".join([BINANCE, *(f"okx:{symbol}" for symbol in SYMBOLS)])
RUN = ("run", "--markets", MARKETS, "--from", str(DAYS[0]), "--to", str(LAST))
# What takers bought of every BTC that Binance traded on a day. Of both venues, the last day's sell ratio is 0.5368.
BOUGHT = dict(zip(DAYS, (Decimal("0.6125"), Decimal("0.45"), Decimal("0.4425504")), strict=True))
SUM = "all:BTC"

pytestmark = pytest.mark.xdist_group("okx_market")


def trades(symbol: str, day: date) -> list[str]:
    """The rows of the file of a day of UTC+8: a buy of 3 contracts each even minute, a sale of 1 each odd one.

    Prices of 49,999 and 50,001 take turns, so that each hour's buys and sales are at 50,000 on average.
    """
    rows = []
    for n in range(24 * 60):
        side, size = ("sell", "1.0") if n % 2 else ("buy", "3.0")
        price = "49999.0" if n % 4 < 2 else "50001.0"
        number, at = (day - FIRST).days * 1440 + 10_000 + n, millis(day, n * 60 - 8 * 3600)
        rows.append(f"{symbol},{number},{side},{price},{size},{at},{n % 5 % 2}")
    return rows


def binance_bars(day: date) -> list[str]:
    """Hourly bars alike, of 20 BTC at 50,000 each."""
    bought = f"{BOUGHT[day] * 20},{BOUGHT[day] * 1_000_000}"
    return [
        f"{millis(day, n * 3600)},50000,50000,50000,50000,20,{millis(day, (n + 1) * 3600) - 1},1000000,7,{bought},0"
        for n in range(24)
    ]


@pytest.fixture(scope="module")
def okx(tmp_path_factory: pytest.TempPathFactory) -> ArchiveFolder:
    folder = ArchiveFolder(tmp_path_factory.mktemp("okx") / "okx")
    for day in [*DAYS, LAST]:
        for symbol in (SWAP, INVERSE, UNSIZED):
            folder.okx_trades(day, trades(symbol, day), symbol=symbol)
    # Delivered on 2026-01-06 at 08:00 UTC, so that its last file ends there.
    folder.okx_trades(DAYS[0], trades(DATED, DAYS[0]), symbol=DATED)
    folder.okx_trades(DAYS[1], trades(DATED, DAYS[1])[: 16 * 60], symbol=DATED)
    return folder


@pytest.fixture(scope="module")
def taker(okx: ArchiveFolder, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    binance = ArchiveFolder(tmp_path_factory.mktemp("okx") / "binance")
    for day in DAYS:
        key = f"data/futures/um/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip"
        binance.put(key, binance_bars(day), KLINE_HEADER)
    settings = {"TAKER_ARCHIVE_URL": binance.url, "TAKER_VENUE_URLS": f"okx.archive={okx.url}"}
    return Taker(tmp_path_factory.mktemp("okx") / "var", settings)


@pytest.fixture(scope="module")
def facts(taker: Taker) -> dict[str, object]:
    found: dict[str, object] = taker.done(*RUN)
    return found


def test_a_utc_day_is_the_sum_of_its_parts_of_two_files(taker: Taker, facts: dict[str, Any]) -> None:
    assert facts["published"]
    # 720 × 3 contracts of 0.01 BTC at 50,000 bought, 720 × 1 sold; an inverse contract is 100 USD.
    assert taker.query(
        "select market_id, bar_date, taker_buy_usd, taker_sell_usd, coverage_ratio, flow_source "
        "from fct_net_taker_volume_daily where market_id in ('okx:BTC-USDT-SWAP', 'okx:BTC-USD-SWAP') order by all"
    ) == [
        (market, day, Decimal(buy), Decimal(sell), Decimal(1), "trades")
        for market, buy, sell in [(f"okx:{INVERSE}", 216_000, 72_000), (f"okx:{SWAP}", 1_080_000, 360_000)]
        for day in DAYS
    ]


def test_every_hour_has_its_own_trades_on_either_side_of_the_cut(taker: Taker, facts: dict[str, Any]) -> None:
    hours = taker.query(
        "select bar_at, trade_count, net_taker_usd from fct_net_taker_volume_hourly "
        "where market_id = 'okx:BTC-USDT-SWAP' order by bar_at"
    )
    assert [hour for _, *hour in hours] == [[60, Decimal(30_000)]] * 72


def test_a_dated_contract_ends_with_its_delivery(taker: Taker, facts: dict[str, Any]) -> None:
    assert taker.query(
        "select bar_at::date, count(*) filter (where trade_count > 0) from fct_net_taker_volume_hourly "
        "where market_id = 'okx:BTC-USD-260106' and bar_at::date <= date '2026-01-06' group by all order by all"
    ) == [(DAYS[0], 24), (DAYS[1], 8)]


def test_a_day_of_which_a_file_is_not_there_yet_is_no_bar_and_named_with_the_file(
    taker: Taker, facts: dict[str, Any]
) -> None:
    notices = [text for text in facts["notices"] if text.startswith("okx:BTC-USDT-SWAP trades: ")]  # type: ignore[attr-defined]
    (text,) = notices
    assert "2026-01-08 (traderecords/trades/daily/20260109/BTC-USDT-SWAP-trades-2026-01-09.zip)" in text
    assert "BTC-USDT-SWAP-trades-2026-01-08.zip" not in text


def test_both_venues_make_one_asset(taker: Taker, facts: dict[str, Any]) -> None:
    (day,) = taker.query(
        "select taker_buy_usd, taker_sell_usd from fct_net_taker_volume_daily "
        f"where market_id = '{SUM}' and bar_date = date '{DAYS[2]}'"
    )
    # Binance 24 × 442,550.40 and 557,449.60; OKX as above.
    assert day == (Decimal("10621209.6") + 1_296_000, Decimal("13378790.4") + 432_000)


def test_a_market_of_unknown_contract_size_is_named_with_what_to_do(taker: Taker, facts: dict[str, Any]) -> None:
    assert taker.query("select count(*) from fct_net_taker_volume_daily where market_id = 'okx:SOL-USDT-SWAP'") == [
        (0,)
    ]
    assert taker.query("select count(*) from fct_flow_reconciliation_daily where market_id = 'okx:SOL-USDT-SWAP'") == [
        (0,)
    ]
    (sentence,) = facts["unvalued_markets"]  # type: ignore[misc]
    assert sentence.startswith("okx:SOL-USDT-SWAP: its trades are kept and not valued")
    assert "TAKER_REST=on" in sentence
    assert "markets.csv" in sentence


class TestAMarketOfThreeDays:
    def test_is_published_with_every_day_and_none_is_ranked(self, taker: Taker, facts: dict[str, Any]) -> None:
        assert taker.query(
            f"select bar_date, coverage_ratio from fct_net_taker_volume_daily where market_id = '{BINANCE}' order by 1"
        ) == [(day, 1.0) for day in DAYS]
        assert taker.query("select count(*) > 0, count(spike_rank), count(percentile) from fct_taker_spike_ranks") == [
            (True, 0, 0)
        ]
        assert taker.query("select count(sell_dominance_percentile) from fct_taker_dominance_daily") == [(0,)]

    def test_gives_no_claim_a_verdict_or_a_reason(self, taker: Taker, facts: dict[str, Any]) -> None:
        assert taker.query("select distinct holds, holds_by from fct_claim_verdicts") == [(None, None)]

    def test_is_shown_as_bearish_where_its_sell_ratio_is_above_one_half(
        self, taker: Taker, facts: dict[str, Any]
    ) -> None:
        printed = taker.run(*RUN).stdout
        shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
        sides = {definition: (side, value, rank) for _, definition, side, _, value, rank, *_ in shown}
        assert sides["daily_sell_ratio"] == ("bearish", "0.5368", "–")
        assert {side for side, *_ in sides.values()} == {"bearish"}
        reason = "not ranked under daily_usd, since 0 % of the 730 days to it are covered"
        for market in (SUM, BINANCE):
            assert f"{market} · {DAYS[2]} UTC · Cannot tell: {reason}" in printed.splitlines()

    def test_leaves_the_claim_of_its_own_last_day_undecided(self, taker: Taker, facts: dict[str, Any]) -> None:
        done = taker.run("claim", f"BTCUSDT {DAYS[2]} bearish rank 1 in 730 days")
        assert done.returncode not in (0, 1), done.stdout
        assert "less than 95 % of the window is covered" in done.stdout
