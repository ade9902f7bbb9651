"""Wrong facts with valid checksums, through the public command: open interest, fundings and liquidations.

Each day of the archive below has one fault that its market's other data contradict; what is expected of the good days
around it is computed here. Belongs here: what is published and stated of such a day. Does not: the single rules and
their tolerances (dbt unit tests), wrong trades and bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.archives import KLINE_HEADER, LIQUIDATION_HEADER, METRIC_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

pytestmark = pytest.mark.xdist_group("contradicted_facts")

JANUARY = [date(2024, 1, 1) + timedelta(days=n) for n in range(31)]
DAYS = JANUARY[9:21]
LINEAR, OTHER, INVERSE = "binance_um:AAAUSDT", "binance_um:BBBUSDT", "binance_cm:BTCUSD_PERP"
THOUSANDFOLD, WORTH, GLITCH, LATEST = DAYS[2], DAYS[5], DAYS[8], DAYS[11]  # open interest
NAMED, RELABELLED = DAYS[2], DAYS[6]  # another symbol's rows
RATE = DAYS[4]
LARGE, REVERSED, ELSEWHERE, MANY = DAYS[1], DAYS[3], DAYS[5], DAYS[7]  # liquidations
BLOCKED = "In conflict with other data and not used: "


def bars(*, inverse: bool) -> Iterator[str]:
    """A month at 99 to 101: 60 of base, or contracts of 100 USD, an hour, 20 of them bought."""
    for day in JANUARY:
        for hour in range(24):
            volume, bought = ("60,{},60", "20,20") if inverse else ("60,{},6000", "20,2000")
            ends = millis(day, (hour + 1) * 3600) - 1
            yield f"{millis(day, hour * 3600)},100,101,99,100,{volume.format(ends)},40,{bought},0"


def observations(day: date, symbol: str, *, amount: int = 300, price: int = 100, last: int | None = None) -> list[str]:
    """Open interest every five minutes; `last`: the amount of the last of them."""
    rows = []
    for n in range(288):
        held = last if last is not None and n == 287 else amount
        rows.append(f"{day} {n // 12:02d}:{n % 12 * 5:02d}:00,{symbol},{held},{held * price},1.1,1.2,1.3,1.4")
    return rows


def orders(day: date, *faulty: str, flipped: bool = False) -> list[str]:
    """Three longs of 2 contracts at 99.5, in minutes of their own, and what else is given; every row twice."""
    sell, limit = ("BUY", "99.4") if flipped else ("SELL", "99.4")
    rows = [
        f"{millis(day, 7 * 3600 + minute * 60)},{sell},LIMIT,IOC,2,{limit},99.{5 + minute},FILLED,2,2"
        for minute in (0, 1, 2)
    ]
    return [row for row in [*rows, *faulty] for _ in range(2)]


def order(day: date, quantity: int, price: str, *, second: int = 0) -> str:
    return f"{millis(day, 15 * 3600 + second)},BUY,LIMIT,IOC,{quantity},{price},{price},FILLED,{quantity},{quantity}"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """One run over a month in which every fault has a day of its own."""
    folder = tmp_path_factory.mktemp("contradicted")
    archive = ArchiveFolder(folder / "archive")
    for product, symbol in (("um", "AAAUSDT"), ("um", "BBBUSDT"), ("cm", "BTCUSD_PERP")):
        key = f"data/futures/{product}/monthly/klines/{symbol}/1h/{symbol}-1h-2024-01.zip"
        archive.put(key, list(bars(inverse=product == "cm")), KLINE_HEADER)
    faults: dict[tuple[str, date], list[str]] = {
        ("AAAUSDT", THOUSANDFOLD): observations(THOUSANDFOLD, "AAAUSDT", amount=300_000),
        ("AAAUSDT", WORTH): observations(WORTH, "AAAUSDT", price=100_000),
        ("AAAUSDT", GLITCH): observations(GLITCH, "AAAUSDT", last=3_000),
        ("AAAUSDT", LATEST): observations(LATEST, "AAAUSDT", amount=300_000),
        ("BBBUSDT", NAMED): observations(NAMED, "AAAUSDT"),
        ("BBBUSDT", RELABELLED): observations(RELABELLED, "BBBUSDT", amount=4, price=42_000),
    }
    for symbol in ("AAAUSDT", "BBBUSDT"):
        for day in DAYS:
            rows = faults.get((symbol, day), observations(day, symbol))
            archive.put(f"data/futures/um/daily/metrics/{symbol}/{symbol}-metrics-{day}.zip", rows, METRIC_HEADER)
    fundings = [
        f"{millis(day, hour * 3600)},8,{'0.9' if (day, hour) == (RATE, 8) else '0.0001'}"
        for day in JANUARY
        for hour in (0, 8, 16)
    ]
    key = "data/futures/um/monthly/fundingRate/AAAUSDT/AAAUSDT-fundingRate-2024-01.zip"
    archive.put(key, fundings, "calc_time,funding_interval_hours,last_funding_rate")
    liquidated = {
        LARGE: orders(LARGE, order(LARGE, 5_000, "100")),
        REVERSED: orders(REVERSED, flipped=True),
        ELSEWHERE: orders(ELSEWHERE, order(ELSEWHERE, 2, "1000")),
        MANY: orders(MANY, *(order(MANY, 15, "100", second=second) for second in range(0, 20, 5))),
    }
    for day in DAYS:
        key = f"data/futures/cm/daily/liquidationSnapshot/BTCUSD_PERP/BTCUSD_PERP-liquidationSnapshot-{day}.zip"
        archive.put(key, liquidated.get(day, orders(day)), LIQUIDATION_HEADER)
    taker = Taker(folder / "storage", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_REST": "off", "COLUMNS": "200"})
    markets = ",".join((LINEAR, OTHER, INVERSE))
    done = taker.run("run", "--markets", markets, "--from", str(JANUARY[0]), "--to", str(JANUARY[-1]))
    assert done.returncode == 0, done.stdout + done.stderr
    taker.printed = " ".join((done.stdout + done.stderr).split())  # type: ignore[attr-defined]
    return taker


def briefs(taker: Taker, market: str, columns: str) -> dict[date, tuple[Any, ...]]:
    rows = taker.query(f"select bar_date, {columns} from rpt_market_brief_daily where market_id = '{market}'")
    return {day: tuple(values) for day, *values in rows}


@pytest.mark.parametrize(
    ("market", "day", "figures"),
    [
        (LINEAR, THOUSANDFOLD, "open interest of 300000.0 base is of a day that stands between 300.0 before and 300.0"),
        (LINEAR, WORTH, "is worth 30000000.0 USD, 100000.0 a unit, and the market traded at 99.0 to 101.0"),
        (LINEAR, GLITCH, "open interest of 3000.0 base stands between 300.0 before and 300.0 after it"),
        (LINEAR, LATEST, "open interest of 300000.0 base differs from 3000.0 of 2024-01-18 by more than the 5760.0"),
        (OTHER, RELABELLED, "is worth 168000.0 USD, 42000.0 a unit, and the market traded at 99.0 to 101.0"),
    ],
    ids=["thousandfold", "worth", "glitch", "latest", "another_symbol"],
)
def test_open_interest_that_other_data_contradict_is_not_stated(
    published: Taker, market: str, day: date, figures: str
) -> None:
    base, usd, conflict, headline = briefs(
        published, market, "open_interest, open_interest_usd, open_interest_conflict, headline"
    )[day]

    assert (base, usd) == (None, None)
    assert figures in conflict
    assert BLOCKED + "open interest." in headline


def test_rows_that_name_another_symbol_are_refused_with_file_row_and_value(published: Taker) -> None:
    assert briefs(published, OTHER, "open_interest, open_interest_conflict")[NAMED] == (None, None)
    status = published.run("status")
    text = " ".join((status.stdout + status.stderr).split())
    assert f"BBBUSDT-metrics-{NAMED}.zip" in text
    assert "`symbol` is not BBBUSDT in 288 rows, first at row 1: `AAAUSDT`" in text


def test_a_funding_that_no_venue_charges_leaves_the_day_without_a_rate(published: Taker) -> None:
    found = briefs(published, LINEAR, "funding_rate, funding_conflict, headline")
    rate, conflict, headline = found[RATE]

    assert rate is None
    assert conflict.startswith(f"{RATE} 08:00:00 funding rate 0.9 is beyond the 0.05")
    assert BLOCKED + "a funding." in headline
    assert {found[day][:2] for day in JANUARY if day != RATE} == {(0.0003, None)}


@pytest.mark.parametrize(
    ("day", "longs", "orders_in_conflict", "coverage", "figures"),
    [
        (LARGE, 600, 1, 1439 / 1440, "BUY of 5000.0 at 100.0 is worth 500000.0 USD, takers of its side traded 4000.0"),
        (REVERSED, None, 3, 0, "BUY of 2.0 at 99.5 is above its limit of 99.4"),
        (ELSEWHERE, 600, 1, 1439 / 1440, "BUY of 2.0 at 1000.0 (1000.0 a unit), the market traded at 99.0 to 101.0"),
        (MANY, 600, 4, 23 / 24, "all BUY orders of the hour are worth 6000.0 USD, takers of that side traded 4000.0"),
    ],
    ids=["one_order", "sides", "price", "hour"],
)
def test_liquidations_that_their_market_contradicts_are_in_no_total_and_uncovered(
    published: Taker, day: date, longs: int | None, orders_in_conflict: int, coverage: float, figures: str
) -> None:
    ((*found, ratio, is_lower_bound, conflict),) = published.query(
        "select long_usd, coalesce(short_usd, 0), conflicting_order_count, coverage_ratio, is_lower_bound, "
        f"first_conflict from fct_liquidations_daily where market_id = '{INVERSE}' and bar_date = date '{day}'"
    )
    stated, headline = briefs(published, INVERSE, "liquidations_conflict, headline")[day]

    assert found == [None if longs is None else Decimal(longs), 0, orders_in_conflict]
    assert (round(ratio, 9), is_lower_bound) == (round(coverage, 9), True)
    assert figures in conflict
    assert stated == conflict
    assert BLOCKED + "liquidations." in headline


def test_what_nothing_contradicts_stays_as_published(published: Taker) -> None:
    faulty = {THOUSANDFOLD, WORTH, GLITCH, LATEST}
    found = briefs(published, LINEAR, "open_interest, open_interest_usd, open_interest_conflict")
    assert {found[day] for day in DAYS if day not in faulty} == {(Decimal(300), Decimal(30_000), None)}
    days = published.query(
        "select bar_date, long_usd, short_usd, coverage_ratio, conflicting_order_count, first_conflict "
        f"from fct_liquidations_daily where market_id = '{INVERSE}' and coverage_ratio = 1"
    )
    assert {row[0] for row in days} == set(DAYS) - {LARGE, REVERSED, ELSEWHERE, MANY}
    assert {tuple(row[1:]) for row in days} == {(Decimal(600), Decimal(0), 1.0, 0, None)}
