"""Wrong facts with valid checksums, in trades and klines, through the public command: none is published as a fact.

Every market trades alike, at prices that rise by the hour, and has another fault on the middle of three days. What
trades and bars hold is computed here from one list of trades. Beside them, in the same run, are five markets with
faults in their trades that users of public archives have reported. Belongs here: verdict, coverage and what is stated
of each planted fault. Does not: the single rules (unit tests of `int_flow_contradictions` and of what it reads).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support import faulty_archives
from tests.support.archives import KLINE_HEADER, METRIC_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker
from tests.support.faulty_archives import DAYS, MIDDLE

pytestmark = pytest.mark.xdist_group("contradicted_flow")

FAULTY_HOUR, OTHER_HOUR = 5, 9
_OF_HOUR = 20


@dataclass(frozen=True)
class Trade:
    """`second`: of its hour. `count`: the single trades that the aggregate stands for."""

    second: int
    price: Decimal
    quantity: Decimal
    is_bought: bool
    count: int = 60


Hour = list[Trade]
Fault = Callable[[list[Hour]], list[Hour]]


def hours_of(day: date) -> list[Hour]:
    """A day's trades by the hour: prices rise by 2 an hour, and each hour trades and leans differently."""
    hours = []
    for n in range((day - DAYS[0]).days * 24, (day - DAYS[0]).days * 24 + 24):
        hours.append(
            [
                Trade(j * 170, Decimal(1000 + 2 * n) + Decimal(j) / 10, Decimal(10 + n % 7), j % 10 < 4 + n % 3)
                for j in range(_OF_HOUR)
            ]
        )
    return hours


def bar(day: date, hour: int, trades: Hour, *, hours: int = 1) -> str:
    """The venue's bar of these trades."""
    prices = [trade.price for trade in trades]
    base, quote = sum(t.quantity for t in trades), sum(t.quantity * t.price for t in trades)
    bought = sum(t.quantity for t in trades if t.is_bought)
    bought_quote = sum(t.quantity * t.price for t in trades if t.is_bought)
    starts, ends = millis(day, hour * 3600), millis(day, (hour + hours) * 3600) - 1
    count = sum(trade.count for trade in trades)
    return (
        f"{starts},{prices[0]},{max(prices)},{min(prices)},{prices[-1]},{base},{ends},{quote},{count},"
        f"{bought},{bought_quote},0"
    )


def changed(hour: int | None = None, **changes: Callable[[Trade], object]) -> Fault:
    """Each trade of the hour, or of the day, with other values in these fields."""

    def fault(hours: list[Hour]) -> list[Hour]:
        return [
            [replace(t, **{name: of(t) for name, of in changes.items()}) for t in trades]  # type: ignore[arg-type]
            if hour is None or place == hour
            else trades
            for place, trades in enumerate(hours)
        ]

    return fault


def exchanged(hours: list[Hour]) -> list[Hour]:
    other = {FAULTY_HOUR: OTHER_HOUR, OTHER_HOUR: FAULTY_HOUR}
    return [hours[other.get(place, place)] for place in range(24)]


def unchanged(hours: list[Hour]) -> list[Hour]:
    return hours


class Faulty(ArchiveFolder):
    """Writes three days of one market, the middle one with a fault in its trades or bars."""

    def bars(self, symbol: str, fault: Fault = unchanged, *, hours: int = 1) -> None:
        for day in DAYS:
            of_day = fault(hours_of(day)) if day == MIDDLE else hours_of(day)
            length = hours if day == MIDDLE else 1
            rows = [
                bar(day, first, [t for trades in of_day[first : first + length] for t in trades], hours=length)
                for first in range(0, 24, length)
            ]
            self.put(f"data/futures/um/daily/klines/{symbol}/1h/{symbol}-1h-{day}.zip", rows, KLINE_HEADER)

    def trades(self, symbol: str, fault: Fault = unchanged) -> None:
        number = 0
        for day in DAYS:
            rows = []
            for hour, trades in enumerate(fault(hours_of(day)) if day == MIDDLE else hours_of(day)):
                for t in trades:
                    number += 1
                    ids = f"{number},{t.price},{t.quantity},{number * 60 - 59},{number * 60}"
                    rows.append(f"{ids},{millis(day, hour * 3600 + t.second)},{'false' if t.is_bought else 'true'}")
            self.agg_trades(day, rows, symbol=symbol)

    def metrics(self, symbol: str) -> None:
        """The venue's own ratios of what the good days hold, every five minutes."""
        for day in DAYS:
            rows = []
            for hour, trades in enumerate(hours_of(day)):
                bought = sum(t.quantity for t in trades if t.is_bought)
                ratio = bought / (sum(t.quantity for t in trades) - bought)
                for minute in range(0, 60, 5):
                    value = 500 * trades[0].price
                    rows.append(f"{day} {hour:02}:{minute:02}:00,{symbol},500,{value},1,1,1,{ratio:.8f}")
            key = f"data/futures/um/daily/metrics/{symbol}/{symbol}-metrics-{day}.zip"
            self.put(key, rows, METRIC_HEADER)


def tenfold(hours: list[Hour]) -> list[Hour]:
    times_ten = changed(FAULTY_HOUR, quantity=lambda t: t.quantity * 10, count=lambda t: t.count * 10)
    return times_ten(hours)


SOLD_ALONE = changed(is_bought=lambda t: False)
SOLD_ALONE_FOR_AN_HOUR = changed(FAULTY_HOUR, is_bought=lambda t: False)
SWAPPED = changed(price=lambda t: t.quantity, quantity=lambda t: t.price)
HALVED = changed(FAULTY_HOUR, price=lambda t: t.price / 2, quantity=lambda t: t.quantity * 2)
LOWER = changed(price=lambda t: round(t.price / Decimal("1.3"), 4), quantity=lambda t: t.quantity * Decimal("1.3"))
IN_TRADES = {"AAAUSDT": SWAPPED, "BBBUSDT": HALVED, "CCCUSDT": exchanged, "DDDUSDT": SOLD_ALONE_FOR_AN_HOUR}
IN_BARS = {"EEEUSDT": tenfold, "FFFUSDT": SOLD_ALONE, "GGGUSDT": LOWER, "HHHUSDT": exchanged}
WITH_METRICS = {"IIIUSDT": SOLD_ALONE_FOR_AN_HOUR, "JJJUSDT": LOWER}
LONGER, TRADES_ALONE, GOOD, OTHER_MARKET = "KKKUSDT", "LLLUSDT", "MMMUSDT", "EEEUSDC"
MARKETS = [*IN_TRADES, *IN_BARS, *WITH_METRICS, LONGER, TRADES_ALONE, GOOD, OTHER_MARKET]
REALLY_PUBLISHED = ["PPPUSDT", "QQQUSDT", "RRRUSDT", "SSSUSDT", "TTTUSDT"]
RUN = (
    *("run", "--markets", ",".join(f"binance_um:{symbol}" for symbol in [*MARKETS, *REALLY_PUBLISHED])),
    *("--from", str(DAYS[0]), "--to", str(DAYS[2])),
)


def publish_what_venues_do(archive: faulty_archives.Faulty) -> None:
    """Five markets with faults that users of public archives have reported, one each."""

    def write(symbol: str, *, with_bars: bool = True) -> None:
        for place, day in enumerate(DAYS):
            if with_bars:
                archive.day_of_bars(symbol, day)
            archive.agg_trades(day, faulty_archives.trades(day, first_id=1 + place * 960), symbol=symbol)

    # Bars of ten hours are empty where the trades, whole and numbered without a gap, are not.
    write("PPPUSDT")
    empty = [faulty_archives.bar(MIDDLE, hour, bought=Decimal(0), volume=Decimal(0), count=0) for hour in range(6, 16)]
    archive.day_of_bars(
        "PPPUSDT", MIDDLE, [*faulty_archives.bars(MIDDLE)[:6], *empty, *faulty_archives.bars(MIDDLE)[16:]]
    )
    # Every row of the day is on one side: without bars, and with them.
    one_sided = faulty_archives.trades(MIDDLE, one_sided=True, first_id=961)
    more = [
        f"{1921 + n},{faulty_archives.PRICE},0.5,{1921 + n},{1921 + n},{millis(MIDDLE, 86_000 + n)},true"
        for n in range(100)
    ]
    write("QQQUSDT", with_bars=False)
    archive.agg_trades(MIDDLE, [*one_sided, *more], symbol="QQQUSDT")
    archive.agg_trades(DAYS[2], faulty_archives.trades(DAYS[2], first_id=2021), symbol="QQQUSDT")
    write("RRRUSDT")
    archive.agg_trades(MIDDLE, [*one_sided, *more], symbol="RRRUSDT")
    # A row of the day after, by a fraction of a millisecond.
    write("SSSUSDT", with_bars=False)
    late = f"1921,{faulty_archives.PRICE},5000,1921,1921,{millis(DAYS[2]) * 1000 + 300},false"
    archive.agg_trades(MIDDLE, [*faulty_archives.trades(MIDDLE, first_id=961), late], symbol="SSSUSDT")
    # Nothing at all of the last day.
    for day in DAYS[:2]:
        archive.day_of_bars("TTTUSDT", day)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    folder = tmp_path_factory.mktemp("contradicted")
    archive = Faulty(folder / "archive")
    for symbol, fault in IN_TRADES.items():
        archive.bars(symbol)
        archive.trades(symbol, fault)
    for symbol, fault in {**IN_BARS, **WITH_METRICS}.items():
        archive.bars(symbol, fault)
    for symbol in (*WITH_METRICS, GOOD):
        archive.metrics(symbol)
    archive.bars(OTHER_MARKET)
    archive.bars(LONGER, hours=4)
    archive.trades(TRADES_ALONE, HALVED)
    archive.bars(GOOD)
    archive.trades(GOOD)
    publish_what_venues_do(faulty_archives.Faulty(archive.root))
    taker = Taker(folder / "storage", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_REST": "off", "COLUMNS": "200"})
    taker.printed = faulty_archives.sentences(taker, *RUN)  # type: ignore[attr-defined]
    return taker


def days_of(taker: Taker, symbol: str, columns: str) -> dict[date, tuple[object, ...]]:
    """By day, of the reconciliation and, where there is one, the daily bar."""
    rows = taker.query(
        f"select r.bar_date, {columns} from fct_flow_reconciliation_daily as r "
        "left join fct_net_taker_volume_daily as d using (market_id, bar_date) "
        f"where market_id = 'binance_um:{symbol}'"
    )
    return {row[0]: row[1:] for row in rows}


def volume_usd(hours: Sequence[int] = range(24)) -> Decimal:
    of_day = hours_of(MIDDLE)
    return sum((t.price * t.quantity for hour in hours for t in of_day[hour]), Decimal(0))


WITHOUT_ONE = [hour for hour in range(24) if hour != FAULTY_HOUR]
WITHOUT_TWO = [hour for hour in WITHOUT_ONE if hour != OTHER_HOUR]


class TestTrades:
    """Klines are there: they are used, and the day is no agreement."""

    @pytest.mark.parametrize(
        ("symbol", "verdict", "quality"),
        [
            ("AAAUSDT", "trades_implausible", "trades_implausible"),
            ("BBBUSDT", "trades_implausible", "trades_implausible"),
            ("CCCUSDT", "conflict", "contradicted"),
            ("DDDUSDT", "conflict", "contradicted"),
        ],
    )
    def test_that_the_klines_contradict_are_not_used(
        self, published: Taker, symbol: str, verdict: str, quality: str
    ) -> None:
        found = days_of(published, symbol, "verdict, flow_source, flow_quality, coverage_ratio, volume_usd")
        assert found[MIDDLE] == (verdict, "klines", quality, 1.0, volume_usd())
        assert [found[day][:4] for day in (DAYS[0], DAYS[2])] == [("exact", "trades", "as_published", 1.0)] * 2

    def test_are_shown_with_the_figures_of_both(self, published: Taker) -> None:
        found = published.query(
            "select hour(bar_at), witness, measure, effect, ours, theirs from fct_flow_contradictions "
            "where market_id = 'binance_um:CCCUSDT' order by all"
        )
        volumes = {hour: float(volume_usd([hour])) for hour in (FAULTY_HOUR, OTHER_HOUR)}
        assert found == [
            (5, "klines", "volume_usd", "replaced", volumes[OTHER_HOUR], volumes[FAULTY_HOUR]),
            (9, "klines", "volume_usd", "replaced", volumes[FAULTY_HOUR], volumes[OTHER_HOUR]),
        ]

    def test_alone_lose_the_hour_whose_prices_step_away(self, published: Taker) -> None:
        found = days_of(published, TRADES_ALONE, "verdict, contradicted_by, contradicted_bars, volume_usd")
        assert found[MIDDLE] == ("conflict", "neighbouring_bars,price_level", 1, volume_usd(WITHOUT_ONE))


class TestKlinesAlone:
    @pytest.mark.parametrize(
        ("symbol", "witnesses", "hours"),
        [
            ("EEEUSDT", "other_markets_volume", WITHOUT_ONE),
            ("FFFUSDT", "own_sides", []),
            ("GGGUSDT", "price_level", []),
            ("HHHUSDT", "neighbouring_bars", WITHOUT_TWO),
            ("IIIUSDT", "taker_ratio", WITHOUT_ONE),
            ("JJJUSDT", "open_interest_price,price_level", []),
            (LONGER, "own_length", []),
        ],
    )
    def test_that_a_witness_contradicts_are_uncovered(
        self, published: Taker, symbol: str, witnesses: str, hours: Sequence[int]
    ) -> None:
        found = days_of(published, symbol, "verdict, contradicted_by, coverage_ratio, flow_quality, volume_usd")
        covered = pytest.approx(len(hours) / 24) if hours else None
        quality, volume = ("contradicted", volume_usd(hours)) if hours else (None, None)
        assert found[MIDDLE] == ("conflict", witnesses, covered, quality, volume)
        for day in (DAYS[0], DAYS[2]):
            assert found[day][:4] == ("klines_only", None, 1.0, "as_published")

    def test_that_nothing_contradicts_stay(self, published: Taker) -> None:
        columns = "verdict, contradicted_by, flow_source, flow_quality, coverage_ratio"
        for symbol, verdict, source in ((GOOD, "exact", "trades"), (OTHER_MARKET, "klines_only", "klines")):
            found = days_of(published, symbol, columns)
            assert found == dict.fromkeys(DAYS, (verdict, None, source, "as_published", 1.0))


def test_a_rank_and_a_brief_that_rest_on_a_contradicted_bar_say_so(published: Taker) -> None:
    of_hhh = "market_id = 'binance_um:HHHUSDT'"
    ranks = dict(
        published.query(
            "select cast(bar_at as date), max(flow_quality) from fct_taker_spike_ranks "
            f"where definition_id = 'daily_usd' and {of_hhh} group by 1"
        )
    )
    assert ranks == {DAYS[0]: "as_published", MIDDLE: "contradicted", DAYS[2]: "as_published"}
    ((headline,),) = published.query(
        f"select headline from rpt_market_brief_daily where {of_hhh} and bar_date = date '{MIDDLE}'"
    )
    assert "(another source contradicts part of it)" in headline
    report = (published.storage / "serving" / "report" / "index.html").read_text()
    assert "2 bars are contradicted and not used, by neighbouring_bars" in report


def bars_of(taker: Taker, market: str, columns: str) -> dict[date, tuple[Any, ...]]:
    rows = taker.query(f"select bar_date, {columns} from fct_net_taker_volume_daily where market_id = '{market}'")
    return {day: tuple(values) for day, *values in rows}


class TestThreeDaysOfTrades:
    """With the faults that venues really publish; hours and amounts are those of `faulty_archives`."""

    def test_win_where_bars_are_empty_and_they_are_whole(self, published: Taker) -> None:
        found = bars_of(published, "binance_um:PPPUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (faulty_archives.net_usd(day), 1.0) for day in DAYS}

    def test_on_one_side_alone_are_no_flow(self, published: Taker) -> None:
        assert MIDDLE not in bars_of(published, "binance_um:QQQUSDT", "net_taker_usd")
        ((verdict, reason),) = published.query(
            "select verdict, defect_reason from fct_flow_reconciliation_daily "
            f"where market_id = 'binance_um:QQQUSDT' and bar_date = date '{MIDDLE}'"
        )
        assert verdict == "trades_implausible"
        assert "1060" in reason.replace(",", "")

    def test_on_one_side_alone_leave_the_day_to_the_bars(self, published: Taker) -> None:
        found = bars_of(published, "binance_um:RRRUSDT", "net_taker_usd, flow_source")
        assert found[MIDDLE] == (faulty_archives.net_usd(MIDDLE), "klines")

    def test_with_a_row_of_the_day_after_are_used_without_it(self, published: Taker) -> None:
        found = bars_of(published, "binance_um:SSSUSDT", "net_taker_usd, flow_quality, coverage_ratio < 1")
        assert found[MIDDLE] == (faulty_archives.net_usd(MIDDLE), "rows_quarantined", True)

    def test_of_which_the_last_day_is_missing_say_so_first(self, published: Taker) -> None:
        printed = published.printed  # type: ignore[attr-defined]
        assert printed.startswith("missing binance_um:TTTUSDT")
        assert str(DAYS[2]) in printed[:200]

    def test_name_every_unused_day_in_the_status(self, published: Taker) -> None:
        status = faulty_archives.sentences(published, "status")
        assert "QQQUSDT" in status
        assert str(MIDDLE) in status

    def test_are_unchanged_by_a_second_run(self, published: Taker) -> None:
        done = published.run(*RUN, "--json")
        assert json.loads(done.stdout)["objects"].keys() == {"unchanged", "absent"}
