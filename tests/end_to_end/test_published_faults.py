"""Faults that venues really publish, through the public command: the smallest proven loss, and never a wrong number.

Each market of the archive below has one fault of a kind that users of public archives have reported; every expected
number is computed here, from the amounts that the archive's good files hold. Belongs here: what is published and what
it is reported. Does not: the single rules (`tests/ingestion`, `tests/dbt`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.archives import KLINE_HEADER, METRIC_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

pytestmark = pytest.mark.xdist_group("published_faults")

SEPTEMBER = [date(2025, 9, 1) + timedelta(days=n) for n in range(30)]
DAYS = SEPTEMBER[9:12]
MIDDLE = DAYS[1]
PRICE = Decimal(100)
RUN_OF_THREE_DAYS = (
    *("run", "--markets", ",".join(f"binance_um:{name}USDT" for name in ("FFF", "GGG", "HHH", "III", "JJJ"))),
    *("--from", str(DAYS[0]), "--to", str(DAYS[2])),
)
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"


@dataclass(frozen=True)
class Hour:
    """What takers did in an hour, in base; every trade is at 100 quote."""

    bought: Decimal
    sold: Decimal

    @property
    def net_usd(self) -> Decimal:
        return (self.bought - self.sold) * PRICE


def hour_of(day: date, hour: int) -> Hour:
    """Different in every hour, so that an hour lost or taken twice shows in every sum."""
    return Hour(Decimal(day.day) + Decimal(hour) / 8, Decimal(10) + Decimal(hour * hour) / 16)


def net_usd(day: date, hours: Sequence[int] = range(24)) -> Decimal:
    return sum((hour_of(day, hour).net_usd for hour in hours), Decimal(0))


def bar(day: date, hour: int, *, bought: Decimal | None = None, volume: Decimal | None = None, count: int = 400) -> str:
    """A bar of an hour as Binance writes it for a linear contract."""
    flow = hour_of(day, hour)
    bought = flow.bought if bought is None else bought
    volume = flow.bought + flow.sold if volume is None else volume
    starts, ends = millis(day, hour * 3600), millis(day, (hour + 1) * 3600) - 1
    return (
        f"{starts},{PRICE},{PRICE + 1},{PRICE - 1},{PRICE},{volume},{ends},{volume * PRICE},{count},"
        f"{bought},{bought * PRICE},0"
    )


def bars(day: date) -> list[str]:
    return [bar(day, hour) for hour in range(24)]


def trades(day: date, *, one_sided: bool = False, first_id: int = 1) -> list[str]:
    """Forty aggregates an hour, half of them on each side, that sum up to the hour's bar."""
    rows = []
    for hour in range(24):
        flow = hour_of(day, hour)
        for n in range(40):
            sells = n % 2 == 0
            quantity = (flow.sold if sells else flow.bought) / 20
            # Prices move, and by the hour are 100 on average weighted by quantity: one up, one down, on each side.
            price = PRICE + (Decimal(1) if n % 4 < 2 else Decimal(-1))
            number = first_id + hour * 40 + n
            at = millis(day, hour * 3600 + n * 80)
            maker = "true" if sells or one_sided else "false"
            rows.append(f"{number},{price},{quantity},{number},{number},{at},{maker}")
    return rows


class Faulty(ArchiveFolder):
    """Writes the files of a market of linear contracts."""

    def month_of_bars(self, symbol: str, rows: Sequence[str]) -> str:
        return self.put(f"data/futures/um/monthly/klines/{symbol}/1h/{symbol}-1h-2025-09.zip", list(rows), KLINE_HEADER)

    def day_of_bars(self, symbol: str, day: date, rows: Sequence[str] | None = None) -> str:
        key = f"data/futures/um/daily/klines/{symbol}/1h/{symbol}-1h-{day}.zip"
        return self.put(key, bars(day) if rows is None else rows, KLINE_HEADER)

    def metrics(self, symbol: str, day: date, rows: Sequence[str], header: str = METRIC_HEADER) -> str:
        return self.put(f"data/futures/um/daily/metrics/{symbol}/{symbol}-metrics-{day}.zip", list(rows), header)

    def funding(self, symbol: str, rows: Sequence[str]) -> str:
        key = f"data/futures/um/monthly/fundingRate/{symbol}/{symbol}-fundingRate-2025-09.zip"
        return self.put(key, list(rows), FUNDING_HEADER)


def sentences(taker: Taker, *arguments: str, code: int = 0) -> str:
    """All that a person reads of `taker ARGUMENTS`."""
    done = taker.run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """A whole month of bars in which each market's month has another fault."""
    folder = tmp_path_factory.mktemp("month")
    archive = Faulty(folder / "archive")
    # Its zip differs from its checksum; the thirty days lie beside it.
    broken = archive.month_of_bars("AAAUSDT", [row for day in SEPTEMBER for row in bars(day)])
    archive.claim(broken, "0" * 64)
    for day in SEPTEMBER:
        archive.day_of_bars("AAAUSDT", day)
    # One bar of 720 has a taker's share above its volume by the last digit.
    too_much = hour_of(MIDDLE, 7).bought + hour_of(MIDDLE, 7).sold + Decimal("0.00000001")
    with_a_bad_bar = [
        bar(day, hour, bought=too_much) if (day, hour) == (MIDDLE, 7) else bar(day, hour)
        for day in SEPTEMBER
        for hour in range(24)
    ]
    archive.month_of_bars("BBBUSDT", with_a_bad_bar)
    archive.day_of_bars("BBBUSDT", MIDDLE)
    archive.month_of_bars("CCCUSDT", with_a_bad_bar)
    # Days of auxiliary data that are unusable.
    archive.month_of_bars("DDDUSDT", [row for day in SEPTEMBER for row in bars(day)])
    archive.metrics("DDDUSDT", MIDDLE, ["1,2"], header="what,ever")
    archive.metrics(
        "DDDUSDT",
        DAYS[0],
        [
            f"{DAYS[0]} 00:00:00,DDDUSDT,1.5E+3,150000,NaN,,1.2,6.1e-05",
            f"{DAYS[0]} 00:05:00,DDDUSDT,1500,150000,1.1,1.2,1.3,1.4",
        ],
    )
    eight_hours = [
        f"{millis(day, hour * 3600) + jitter},8,0.0001"
        for day, hour, jitter in [
            (day, hour, -2 if (day, hour) == (SEPTEMBER[0], 0) else 1) for day in SEPTEMBER for hour in (0, 8, 16)
        ]
    ]
    archive.funding("DDDUSDT", eight_hours)
    taker = Taker(folder / "storage", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_REST": "off", "COLUMNS": "200"})
    taker.printed = sentences(  # type: ignore[attr-defined]
        taker,
        "run",
        "--markets",
        ",".join(f"binance_um:{name}USDT" for name in ("AAA", "BBB", "CCC", "DDD")),
        "--from",
        "2025-09-01",
        "--to",
        "2025-09-30",
    )
    return taker


def days_of(taker: Taker, market: str, columns: str) -> dict[date, tuple[Any, ...]]:
    rows = taker.query(f"select bar_date, {columns} from fct_net_taker_volume_daily where market_id = '{market}'")
    return {day: tuple(values) for day, *values in rows}


class TestAMonthOfBars:
    def test_with_a_wrong_checksum_is_taken_from_its_days(self, month: Taker) -> None:
        found = days_of(month, "binance_um:AAAUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (net_usd(day), 1.0) for day in SEPTEMBER}

    def test_with_one_bad_bar_takes_that_day_from_its_own_file(self, month: Taker) -> None:
        found = days_of(month, "binance_um:BBBUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (net_usd(day), 1.0) for day in SEPTEMBER}

    def test_with_one_bad_bar_and_no_file_of_the_day_lacks_that_hour_alone(self, month: Taker) -> None:
        found = days_of(month, "binance_um:CCCUSDT", "net_taker_usd, round(coverage_ratio, 6)")
        without = net_usd(MIDDLE, [hour for hour in range(24) if hour != 7])
        expected = {day: (net_usd(day), 1.0) for day in SEPTEMBER} | {MIDDLE: (without, round(23 / 24, 6))}
        assert found == expected

    @pytest.mark.parametrize(("name", "quality"), [("AAA", "replaced_source"), ("CCC", "rows_quarantined")])
    def test_states_on_the_day_what_its_numbers_rest_on(self, month: Taker, name: str, quality: str) -> None:
        assert days_of(month, f"binance_um:{name}USDT", "flow_quality")[MIDDLE] == (quality,)

    def test_names_in_the_run_and_in_the_status_what_was_lost_and_what_was_used(self, month: Taker) -> None:
        status = sentences(month, "status")
        for text in (month.printed, status):  # type: ignore[attr-defined]
            assert "AAAUSDT" in text
            assert "CCCUSDT" in text
            assert "2025-09-11" in text


class TestAuxiliaryData:
    def test_that_cannot_be_used_keeps_no_flow_from_being_published(self, month: Taker) -> None:
        assert days_of(month, "binance_um:DDDUSDT", "net_taker_usd")[MIDDLE] == (net_usd(MIDDLE),)

    def test_is_refused_with_the_columns_that_its_file_lacks(self, month: Taker) -> None:
        assert "DDDUSDT-metrics-2025-09-11.zip" in sentences(month, "status")

    def test_of_which_one_funding_came_two_milliseconds_early_is_whole(self, month: Taker) -> None:
        rows = month.query(
            "select bar_date, funding_rate from rpt_market_brief_daily where market_id = 'binance_um:DDDUSDT'"
        )
        assert dict(rows)[SEPTEMBER[0]] == 0.0003
        assert dict(rows)[MIDDLE] == 0.0003


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """Three days in which each market has another fault in its trades or bars."""
    folder = tmp_path_factory.mktemp("days")
    archive = Faulty(folder / "archive")

    def write(symbol: str, *, with_bars: bool = True) -> Iterator[date]:
        for place, day in enumerate(DAYS):
            if with_bars:
                archive.day_of_bars(symbol, day)
            archive.agg_trades(day, trades(day, first_id=1 + place * 960), symbol=symbol)
            yield day

    # Bars of ten hours are empty where the trades, whole and numbered without a gap, are not.
    list(write("FFFUSDT"))
    empty = [bar(MIDDLE, hour, bought=Decimal(0), volume=Decimal(0), count=0) for hour in range(6, 16)]
    archive.day_of_bars("FFFUSDT", MIDDLE, [*bars(MIDDLE)[:6], *empty, *bars(MIDDLE)[16:]])
    # Every row of the day is on one side: without bars, and with them.
    one_sided = trades(MIDDLE, one_sided=True, first_id=961)
    more = [f"{1921 + n},{PRICE},0.5,{1921 + n},{1921 + n},{millis(MIDDLE, 86_000 + n)},true" for n in range(100)]
    list(write("GGGUSDT", with_bars=False))
    archive.agg_trades(MIDDLE, [*one_sided, *more], symbol="GGGUSDT")
    archive.agg_trades(DAYS[2], trades(DAYS[2], first_id=2021), symbol="GGGUSDT")
    list(write("HHHUSDT"))
    archive.agg_trades(MIDDLE, [*one_sided, *more], symbol="HHHUSDT")
    # A row of the day after, by a fraction of a millisecond.
    list(write("IIIUSDT", with_bars=False))
    late = f"1921,{PRICE},5000,1921,1921,{millis(DAYS[2]) * 1000 + 300},false"
    archive.agg_trades(MIDDLE, [*trades(MIDDLE, first_id=961), late], symbol="IIIUSDT")
    # Nothing at all of the last day.
    for day in DAYS[:2]:
        archive.day_of_bars("JJJUSDT", day)
    taker = Taker(folder / "storage", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_REST": "off", "COLUMNS": "200"})
    taker.printed = sentences(taker, *RUN_OF_THREE_DAYS)  # type: ignore[attr-defined]
    return taker


class TestThreeDaysOfTrades:
    def test_win_where_bars_are_empty_and_they_are_whole(self, three_days: Taker) -> None:
        found = days_of(three_days, "binance_um:FFFUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (net_usd(day), 1.0) for day in DAYS}

    def test_on_one_side_alone_are_no_flow(self, three_days: Taker) -> None:
        assert MIDDLE not in days_of(three_days, "binance_um:GGGUSDT", "net_taker_usd")
        ((verdict, reason),) = three_days.query(
            "select verdict, defect_reason from fct_flow_reconciliation_daily "
            f"where market_id = 'binance_um:GGGUSDT' and bar_date = date '{MIDDLE}'"
        )
        assert verdict == "trades_implausible"
        assert "1060" in reason.replace(",", "")

    def test_on_one_side_alone_leave_the_day_to_the_bars(self, three_days: Taker) -> None:
        found = days_of(three_days, "binance_um:HHHUSDT", "net_taker_usd, flow_source")
        assert found[MIDDLE] == (net_usd(MIDDLE), "klines")

    def test_with_a_row_of_the_day_after_are_used_without_it(self, three_days: Taker) -> None:
        found = days_of(three_days, "binance_um:IIIUSDT", "net_taker_usd, flow_quality, coverage_ratio < 1")
        assert found[MIDDLE] == (net_usd(MIDDLE), "rows_quarantined", True)

    def test_of_which_the_last_day_is_missing_say_so_first(self, three_days: Taker) -> None:
        printed = three_days.printed  # type: ignore[attr-defined]
        assert printed.startswith("missing binance_um:JJJUSDT")
        assert str(DAYS[2]) in printed[:200]

    def test_name_every_unused_day_in_the_status(self, three_days: Taker) -> None:
        status = sentences(three_days, "status")
        assert "GGGUSDT" in status
        assert str(MIDDLE) in status

    def test_are_unchanged_by_a_second_run(self, three_days: Taker) -> None:
        done = three_days.run(*RUN_OF_THREE_DAYS, "--json")
        assert json.loads(done.stdout)["objects"].keys() == {"unchanged", "absent"}
