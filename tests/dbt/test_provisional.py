"""Today before the archive has it, several venues as one, and what becomes of both when the archive comes: built twice.

Markets of one base asset on three venues. Two days come from the archive: Binance's bars, and the single trades of
Bybit, which has neither aggregates nor bars. A third day comes from Binance's API and from Bybit's feed, a fourth is
running. Then the archive brings the third day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.warehouse.audit.gx import audit
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.dbt.warehouse import RawFolder, Record, Warehouse

BARS = ("int_flow_bars", "int_bars")
BINANCE, COIN, BYBIT, TOTAL = "binance_um:BTCUSDT", "binance_cm:BTCUSD_PERP", "bybit:BTCUSDT", "all:BTC"
FIRST = date(2024, 8, 1)
ARCHIVED, LATE, RUNNING = [FIRST, FIRST + timedelta(days=1)], FIRST + timedelta(days=2), FIRST + timedelta(days=3)
# Of the running day the bars of six hours are finished.
FINISHED = 6


def at(day: date, hour: int = 0, **more: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(**more)


def klines(days: Sequence[date], hours: range = range(24), *, inverse: bool = False, off: int = 0) -> list[Record]:
    """Hourly bars; `off` more is bought in each hour. Volume: base of linear contracts, contracts of inverse ones."""
    rows = []
    for day in days:
        for hour in hours:
            buy, sell = Decimal(40 + hour + off), Decimal(60 - day.day)
            base, usd = (buy + sell, buy), ((buy + sell) * 100, buy * 100)
            rows.append(
                {
                    "opened_at": at(day, hour),
                    "closed_at": at(day, hour, hours=1, milliseconds=-1),
                    "open_price": Decimal(100),
                    "high_price": Decimal(110),
                    "low_price": Decimal(90),
                    "close_price": Decimal(100),
                    "volume": base[0],
                    "taker_buy_volume": base[1],
                    # A contract is 100 USD, one base at this price: the numbers of both kinds are the same.
                    "quote_volume": base[0] if inverse else usd[0],
                    "taker_buy_quote_volume": base[1] if inverse else usd[1],
                    "trade_count": 9,
                }
            )
    return rows


def trades(day: date, hours: range = range(24)) -> list[Record]:
    """One trade a minute, as the archive of single trades has them."""
    return [
        {
            "trade_id": day.toordinal() * 10_000 + hour * 60 + minute,
            "price": Decimal(101),
            "quantity": Decimal(1 + minute % 2),
            "traded_at": at(day, hour, minutes=minute),
            "is_buyer_maker": minute % 3 == 0,
        }
        for hour in hours
        for minute in range(60)
    ]


def received(day: date, hours: range = range(24)) -> list[Record]:
    """The same trades as received on the feed, one of them twice, and one without an aggressor."""
    rows = [
        {
            "trade_id": f"x{row['trade_id']}",
            "trade_number": None,
            "price": row["price"],
            "quantity": row["quantity"],
            "traded_at": row["traded_at"],
            "is_taker_buy": not row["is_buyer_maker"],
            "execution": "MARKET",
        }
        for row in trades(day, hours)
    ]
    forced = {**rows[0], "trade_id": "forced", "quantity": Decimal(999), "execution": "ADL"}
    return [*rows, rows[5], forced]


class BuiltTwice:
    """Before the archive has the third day, after, and everything afresh."""

    def __init__(self, folder: Path) -> None:
        self.zone = RawFolder(folder / "zone")
        self.warehouse = Warehouse(folder / "warehouse", self.zone.url)
        self.zone.store("klines", BINANCE, FIRST, klines(ARCHIVED), interval="1h")
        # The coin-margined market begins a day later: until then the sum has two markets.
        self.zone.store("klines", COIN, FIRST, klines(ARCHIVED[1:], inverse=True), interval="1h")
        for day in ARCHIVED:
            self.zone.store("trades", BYBIT, day, trades(day))
            self.zone.absent("aggTrades", BYBIT, day)
        for day, hours in ((LATE, range(24)), (RUNNING, range(FINISHED))):
            for market_id, inverse in ((BINANCE, False), (COIN, True)):
                rows = klines([day], hours, inverse=inverse)
                self.zone.store("restKlines", market_id, day, rows, interval="1h")
            ratios = [
                {"observed_at": row["opened_at"], "buy_volume": row["taker_buy_volume"], "sell_volume": Decimal(50)}
                for row in klines([day], hours)
            ]
            self.zone.store("takerRatio", BINANCE, day, ratios)
            self.zone.store("liveTrades", BYBIT, day, received(day, hours))
            for hour in hours:
                self.zone.covered(BYBIT, at(day, hour), dataset="liveTrades")
        # Half of one more hour was collected.
        self.zone.store("liveTrades", BYBIT, RUNNING, received(RUNNING, range(FINISHED + 1)))
        self.zone.covered(BYBIT, at(RUNNING, FINISHED), 30, dataset="liveTrades")
        self.first = self._built()

        self.zone.store("klines", BINANCE, FIRST, klines([*ARCHIVED, LATE]), interval="1h")
        self.zone.store("klines", COIN, FIRST, klines([ARCHIVED[1], LATE], inverse=True, off=1), interval="1h")
        self.zone.store("trades", BYBIT, LATE, trades(LATE))
        self.second = self._built()
        self.second_window = set(self.warehouse.rows("select market_id, source, bar_date from int_build_window"))
        self.warehouse.dbt("run", "--full-refresh", "--select", "+int_bars")
        self.fresh = {name: self.warehouse.records(name) for name in BARS}

    def _built(self) -> dict[str, list[Record]]:
        self.zone.write_index()
        self.warehouse.build()
        return self.warehouse.results()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltTwice:
    return BuiltTwice(tmp_path_factory.mktemp("provisional"))


def rows_where(records: Sequence[Record], **values: Any) -> list[Record]:
    return [record for record in records if all(record[name] == value for name, value in values.items())]


def row_where(records: Sequence[Record], **values: Any) -> Record:
    (record,) = rows_where(records, **values)
    return record


def daily(results: dict[str, list[Record]], market_id: str, day: date) -> Record:
    return row_where(results["fct_net_taker_volume_daily"], market_id=market_id, bar_date=day)


def reconciled(results: dict[str, list[Record]], market_id: str, day: date) -> Record:
    return row_where(results["fct_flow_reconciliation_daily"], market_id=market_id, bar_date=day)


def test_a_venue_without_aggregates_is_built_from_its_single_trades(built: BuiltTwice) -> None:
    day = daily(built.first, BYBIT, FIRST)

    assert (day["flow_source"], day["coverage_ratio"], day["is_provisional"]) == ("trades", 1, False)
    assert day["volume_base"] == sum(row["quantity"] for row in trades(FIRST))


@pytest.mark.parametrize(("market_id", "source"), [(BINANCE, "rest_klines"), (BYBIT, "live_trades")])
def test_a_day_that_the_archive_lacks_is_whole_and_provisional(built: BuiltTwice, market_id: str, source: str) -> None:
    day = daily(built.first, market_id, LATE)

    assert (day["flow_source"], day["coverage_ratio"]) == (source, 1)
    assert (day["is_provisional"], day["is_running"]) == (True, False)


def test_forced_and_repeated_trades_are_no_flow(built: BuiltTwice) -> None:
    assert daily(built.first, BYBIT, LATE)["volume_base"] == sum(row["quantity"] for row in trades(LATE))


@pytest.mark.parametrize(("market_id", "hours"), [(BINANCE, 6), (BYBIT, 6.5)])
def test_a_running_day_is_covered_as_far_as_it_is_known(built: BuiltTwice, market_id: str, hours: float) -> None:
    day = daily(built.first, market_id, RUNNING)
    bars = rows_where(built.first["int_bars"], market_id=market_id, grain_hours=4, bar_date=RUNNING)

    assert day["coverage_ratio"] == pytest.approx(hours / 24, abs=1e-8)
    assert (day["is_provisional"], day["is_running"]) == (True, True)
    assert [bar["is_running"] for bar in bars] == [False, True]


def test_a_running_day_is_no_day_for_the_brief(built: BuiltTwice) -> None:
    briefs = rows_where(built.first["rpt_market_brief_daily"], market_id=BINANCE)

    assert [brief["bar_date"] for brief in briefs] == [*ARCHIVED, LATE]
    assert ", provisional)" in briefs[-1]["headline"]
    assert ", provisional" not in briefs[0]["headline"]


def test_a_running_bar_settles_no_event(built: BuiltTwice) -> None:
    bars = rows_where(
        built.first["fct_taker_spike_ranks"], definition_id="daily_usd", market_id=BINANCE, side="bearish"
    )

    assert [bar["is_event"] is None for bar in bars] == [False, False, True, True]
    assert [bar["is_running"] for bar in bars] == [False, False, False, True]


def test_the_sum_over_venues_is_that_of_its_markets(built: BuiltTwice) -> None:
    for day in (ARCHIVED[1], LATE):
        parts = [daily(built.first, market_id, day) for market_id in (BINANCE, COIN, BYBIT)]
        total = daily(built.first, TOTAL, day)
        for column in ("taker_buy_usd", "taker_sell_usd", "net_taker_usd", "volume_usd", "volume_base", "trade_count"):
            assert total[column] == sum(part[column] for part in parts)
        assert total["venue"] == "all"
        assert total["venue_set"] == "binance_cm,binance_um,bybit"
        assert total["flow_source"] == "mixed"
    assert daily(built.first, TOTAL, RUNNING)["coverage_ratio"] == pytest.approx(0.25)
    assert row_where(built.first["dim_markets"], market_id=TOTAL)["contract_type"] == "aggregate"


def test_a_market_that_joins_changes_the_set_for_all_later_bars(built: BuiltTwice) -> None:
    assert daily(built.first, TOTAL, FIRST)["venue_set"] == "binance_um,bybit"
    bars = sorted(rows_where(built.first["int_bars"], market_id=TOTAL, grain_hours=24), key=lambda bar: bar["bar_at"])

    changed_at = at(FIRST).replace(tzinfo=None)
    assert [bar["set_changed_at"] for bar in bars] == [None, changed_at, changed_at, changed_at]
    assert not [bar for bar in built.first["int_bars"] if bar["set_changed_at"] and bar["venue"] != "all"]


def test_the_archive_s_day_replaces_the_provisional_one(built: BuiltTwice) -> None:
    assert built.second_window == {(BINANCE, "klines", day) for day in [*ARCHIVED, LATE]} | {
        (COIN, "klines", ARCHIVED[1]),
        (COIN, "klines", LATE),
        (BYBIT, "trades", LATE),
    }
    for market_id, source in ((BINANCE, "klines"), (COIN, "klines"), (BYBIT, "trades")):
        day = daily(built.second, market_id, LATE)
        assert (day["flow_source"], day["is_provisional"]) == (source, False)
    assert daily(built.second, BYBIT, LATE)["volume_usd"] == daily(built.first, BYBIT, LATE)["volume_usd"]
    assert daily(built.second, COIN, LATE)["volume_usd"] > daily(built.first, COIN, LATE)["volume_usd"]


def test_the_reconciliation_shows_whether_the_api_was_right(built: BuiltTwice) -> None:
    before = [reconciled(built.first, market_id, LATE) for market_id in (BINANCE, COIN, BYBIT)]
    after = [reconciled(built.second, market_id, LATE) for market_id in (BINANCE, COIN, BYBIT)]

    assert [row["verdict"] for row in before] == ["provisional_only"] * 3
    assert [row["rest_verdict"] for row in before] == ["not_comparable", "not_comparable", None]
    assert [row["verdict"] for row in after] == ["klines_only", "klines_only", "trades_only"]
    assert [row["rest_verdict"] for row in after] == ["exact", "conflict", None]
    assert (after[0]["rest_hours"], after[0]["rest_difference_usd"]) == (24, 0)
    # One contract of 100 USD in each hour.
    assert after[1]["rest_difference_usd"] == -2400
    assert not rows_where(built.second["fct_flow_reconciliation_daily"], venue="all")


def test_the_venue_reported_taker_ratio_is_compared_with_the_hourly_bars(built: BuiltTwice) -> None:
    """It reports 50 sold in each hour; the bars have 57 of the 97 that were traded in the first one."""
    row = reconciled(built.first, BINANCE, LATE)

    assert row["venue_taker_ratio_difference"] == pytest.approx(7 / 97, abs=1e-8)
    assert reconciled(built.first, BYBIT, LATE)["venue_taker_ratio_difference"] is None


@pytest.mark.parametrize("result", BARS)
def test_an_incremental_build_ends_where_a_fresh_one_does(built: BuiltTwice, result: str) -> None:
    assert built.second[result] == built.fresh[result]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_audit_finds_nothing_wrong(built: BuiltTwice, suite: AuditSuite) -> None:
    """Of provisional bars, a running day, and sums whose set changed."""
    with duckdb.connect(str(built.warehouse.path), read_only=True) as connection:
        verdict = audit(connection, suite)

    failed = [r for r in verdict.results if not r["success"] and r["severity"] == CRITICAL]
    assert [(r["column"], r["rule"], r["sample"][:2]) for r in failed] == []
