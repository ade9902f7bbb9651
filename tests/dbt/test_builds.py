"""The whole project, built on small raw zones: exact numbers, windows, corrections, emptiness."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.domain.periods import Period, Span
from orchestration.warehouse.opening import BAR_PRICE_TYPE
from tests.dbt.warehouse import RESULTS, RawFolder, Record, Warehouse

pytestmark = pytest.mark.xdist_group("empty")

LINEAR, INVERSE = "simulated:BTCUSDT", "simulated:BTCUSD_PERP"
FIRST = date(2024, 8, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
PARTIAL, CORRECTED, EMPTIED = DAYS[1], DAYS[2], DAYS[3]
# Of the other market, trades that a correction moves within their hours.
MOVED = DAYS[2]
EIGHT = Decimal("1e-8")


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def trades_of(day: date, *, hours: Sequence[int] = range(24), scale: int = 1, minutes_later: int = 0) -> list[Record]:
    """Four trades an hour at odd prices and quantities, so that neither products nor quotients are round."""
    rows = []
    for hour in hours:
        for n in range(4):
            trade_id = day.toordinal() * 1000 + hour * 4 + n
            rows.append(
                {
                    "agg_trade_id": trade_id,
                    "first_trade_id": trade_id,
                    "last_trade_id": trade_id,
                    "price": Decimal("60000.12345678") + 7 * n - hour,
                    "quantity": Decimal("13.00000007") * scale * (n + 1) + hour,
                    "traded_at": midnight(day)
                    + timedelta(hours=hour, minutes=n + minutes_later, milliseconds=trade_id % 1000),
                    "is_buyer_maker": (hour + n) % 3 == 0,
                }
            )
    return rows


def amounts_of(market_id: str, rows: Sequence[Record]) -> dict[str, Decimal]:
    """Buy and sell in USD and base of some trades, by plain exact arithmetic."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=60):
        for row in rows:
            side = "sell" if row["is_buyer_maker"] else "buy"
            if market_id == INVERSE:
                usd = row["quantity"] * 100
                base = (usd / row["price"]).quantize(Decimal("1e-16"), ROUND_HALF_UP)
            else:
                usd, base = row["quantity"] * row["price"], row["quantity"]
            sums[f"{side}_usd"] += usd
            sums[f"{side}_base"] += base
        return {name: value.quantize(EIGHT, ROUND_HALF_UP) for name, value in sums.items()}


def klines_of(market_id: str, days: Sequence[date], trades: dict[date, list[Record]]) -> list[Record]:
    """Hourly bars that agree with the trades to the last digit that a kline has."""
    rows = []
    for day in days:
        for hour in range(24):
            opened_at = midnight(day) + timedelta(hours=hour)
            held = [t for t in trades[day] if opened_at <= t["traded_at"] < opened_at + timedelta(hours=1)]
            sums = defaultdict(Decimal, amounts_of(market_id, held))
            usd, base = sums["buy_usd"] + sums["sell_usd"], sums["buy_base"] + sums["sell_base"]
            contracts = market_id == INVERSE
            prices = [t["price"] for t in held] or [Decimal(60000)]
            rows.append(
                {
                    "opened_at": opened_at,
                    "closed_at": opened_at + timedelta(hours=1, milliseconds=-1),
                    "open_price": prices[0],
                    "high_price": max(prices),
                    "low_price": min(prices),
                    "close_price": prices[-1],
                    "volume": usd / 100 if contracts else base,
                    "quote_volume": base if contracts else usd,
                    "taker_buy_volume": sums["buy_usd"] / 100 if contracts else sums["buy_base"],
                    "taker_buy_quote_volume": sums["buy_base"] if contracts else sums["buy_usd"],
                    "trade_count": len(held),
                }
            )
    return rows


def metrics_of(day: date) -> list[Record]:
    """Holes in the venue's file, which contradict nothing."""
    hole = dict.fromkeys(("open_interest", "open_interest_value", "taker_buy_sell_ratio"), Decimal(0))
    return [{"observed_at": midnight(day) + timedelta(minutes=5 * n), **hole} for n in range(288)]


def fundings_of(day: date, *, lost: int | None = None) -> list[Record]:
    """Three fundings of the day, but for one that is lost."""
    return [
        {
            "calculated_at": midnight(day) + timedelta(hours=8 * n, milliseconds=n),
            "funding_interval_hours": 8,
            "funding_rate": Decimal("0.0001") * (n + 1),
        }
        for n in range(3)
        if n != lost
    ]


class BuiltTwice:
    """A zone built, then corrected and built again, then built afresh; what each of the three left behind."""

    def __init__(self, folder: Path) -> None:
        self.zone = RawFolder(folder / "zone")
        self.warehouse = Warehouse(folder / "warehouse", self.zone.url)
        self.trades: dict[str, dict[date, list[Record]]] = {}
        for market_id in (LINEAR, INVERSE):
            self.trades[market_id] = {day: trades_of(day) for day in DAYS}
            self.zone.store(
                "klines", market_id, FIRST, klines_of(market_id, DAYS, self.trades[market_id]), interval="1h"
            )
            for day, rows in self.trades[market_id].items():
                self.zone.store("aggTrades", market_id, day, rows)
            self.zone.store("metrics", market_id, FIRST, metrics_of(FIRST))
        self.zone.store("fundingRate", LINEAR, FIRST, fundings_of(FIRST, lost=1))
        # The file of one day stops after six hours.
        self.zone.store("aggTrades", LINEAR, PARTIAL, trades_of(PARTIAL, hours=range(6)))
        self.zone.absent("liquidationSnapshot", INVERSE, DAYS[0])
        self.zone.write_index()
        self.warehouse.build()
        self.first = self.warehouse.results()
        self.first_window = self.window()

        # A build of a wrong correction dies when its bars stand; then the file is as it was.
        self.zone.store("aggTrades", LINEAR, PARTIAL, trades_of(PARTIAL, hours=range(6), scale=5))
        self.zone.write_index()
        self.warehouse.build("--select", "+int_flow_bars")
        self.zone.store("aggTrades", LINEAR, PARTIAL, trades_of(PARTIAL, hours=range(6)))

        # One file is spoiled although its receipt stays: a build that reads more than its window would show it.
        untouched = self.zone.path("aggTrades", INVERSE, Period.of_day(DAYS[0]))
        kept = untouched.read_bytes()
        self.zone.store("aggTrades", INVERSE, DAYS[0], trades_of(DAYS[0], scale=9))
        self.zone.receipts["aggTrades", INVERSE, "", DAYS[0]]["stored_sha256"] = hashlib.sha256(kept).hexdigest()
        # The same of files that the other market's corrections of the same month and day must not open.
        unopened = {
            path: path.read_bytes()
            for path in (
                self.zone.path("klines", INVERSE, Period.holding(FIRST, Span.MONTH), "1h"),
                self.zone.path("metrics", INVERSE, Period.of_day(FIRST)),
            )
        }
        for path in unopened:
            path.write_bytes(b"unreadable")
        for day in DAYS:
            self.zone.receipts["klines", LINEAR, "1h", day]["stored_sha256"] = "corrected"
        self.zone.store("metrics", LINEAR, FIRST, metrics_of(FIRST)[1:])
        self.zone.store("fundingRate", LINEAR, FIRST, fundings_of(FIRST))
        self.zone.store("aggTrades", LINEAR, CORRECTED, trades_of(CORRECTED, scale=3))
        self.zone.store("aggTrades", LINEAR, EMPTIED, [])
        self.zone.store("aggTrades", INVERSE, MOVED, trades_of(MOVED, minutes_later=10))
        self.zone.write_index()
        self.warehouse.build()
        self.second = self.warehouse.results()
        self.second_window = self.window()

        for path, payload in {untouched: kept, **unopened}.items():
            path.write_bytes(payload)
        self.warehouse.build("--full-refresh")
        self.fresh = self.warehouse.results()

    def window(self) -> set[tuple[str, str, date]]:
        return set(self.warehouse.rows("select market_id, source, bar_date from int_build_window"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltTwice:
    return BuiltTwice(tmp_path_factory.mktemp("builds"))


def rows_where(records: Sequence[Record], **values: Any) -> list[Record]:
    return [record for record in records if all(record[name] == value for name, value in values.items())]


def row_where(records: Sequence[Record], **values: Any) -> Record:
    (record,) = rows_where(records, **values)
    return record


def test_the_first_build_takes_every_day_of_every_source(built: BuiltTwice) -> None:
    expected = {
        (market, source, day) for market in (LINEAR, INVERSE) for source in ("trades", "klines") for day in DAYS
    }
    assert built.first_window == expected


@pytest.mark.parametrize("market_id", [LINEAR, INVERSE])
def test_hourly_flow_is_exact_to_the_last_digit(built: BuiltTwice, market_id: str) -> None:
    for hour in range(24):
        starts_at = midnight(DAYS[0]) + timedelta(hours=hour)
        held = [t for t in built.trades[market_id][DAYS[0]] if t["traded_at"].hour == hour]
        sums = amounts_of(market_id, held)
        row = row_where(
            built.first["fct_net_taker_volume_hourly"], market_id=market_id, bar_at=starts_at.replace(tzinfo=None)
        )
        assert row["flow_source"] == "trades"
        for unit in ("usd", "base"):
            bought, sold = sums[f"buy_{unit}"], sums[f"sell_{unit}"]
            assert (row[f"taker_buy_{unit}"], row[f"taker_sell_{unit}"]) == (bought, sold)
            assert (row[f"net_taker_{unit}"], row[f"volume_{unit}"]) == (bought - sold, bought + sold)
        assert row["taker_sell_ratio"] == pytest.approx(float(sums["sell_usd"] / row["volume_usd"]), rel=1e-15)
        assert row["open_price"] == held[0]["price"]
        assert row["close_price"] == held[-1]["price"]


@pytest.mark.parametrize("market_id", [LINEAR, INVERSE])
def test_the_flow_of_a_minute_is_exact_to_the_last_digit(built: BuiltTwice, market_id: str) -> None:
    minutes = rows_where(built.first["fct_net_taker_volume_minute"], market_id=market_id)
    for trade in built.trades[market_id][DAYS[0]]:
        # No two trades share a minute.
        minute_at = trade["traded_at"].replace(second=0, microsecond=0, tzinfo=None)
        row = row_where(minutes, bar_at=minute_at)
        sums = defaultdict(Decimal, amounts_of(market_id, [trade]))
        for unit in ("usd", "base"):
            bought, sold = sums[f"buy_{unit}"], sums[f"sell_{unit}"]
            assert (row[f"taker_buy_{unit}"], row[f"taker_sell_{unit}"]) == (bought, sold)
            assert (row[f"net_taker_{unit}"], row[f"volume_{unit}"]) == (bought - sold, bought + sold)
        assert {row[f"{name}_price"] for name in ("open", "high", "low", "close")} == {trade["price"]}
        assert row["fifteen_minutes_at"] == minute_at.replace(minute=0)


def test_a_day_that_is_taken_from_klines_has_no_minutes(built: BuiltTwice) -> None:
    days = {row["bar_at"].date() for row in rows_where(built.first["fct_net_taker_volume_minute"], market_id=LINEAR)}
    assert days == {*DAYS} - {PARTIAL}


def test_trades_that_move_within_their_hours_are_in_other_minutes(built: BuiltTwice) -> None:
    def of_day(results: dict[str, list[Record]], mart: str) -> list[Record]:
        rows = rows_where(results[mart], market_id=INVERSE)
        return [row for row in rows if row["bar_at"].date() == MOVED]

    hours = [of_day(results, "fct_net_taker_volume_hourly") for results in (built.first, built.second)]
    flows = [[(row["bar_at"], row["net_taker_usd"]) for row in each] for each in hours]
    assert flows[0] == flows[1]
    assert len(flows[0]) == 24
    before, after = (of_day(results, "fct_net_taker_volume_minute") for results in (built.first, built.second))
    later = [{**row, "bar_at": row["bar_at"] + timedelta(minutes=10)} for row in before]
    assert [(row["bar_at"], row["net_taker_usd"]) for row in later] == [
        (row["bar_at"], row["net_taker_usd"]) for row in after
    ]


def test_trades_that_agree_with_the_klines_are_confirmed_and_used(built: BuiltTwice) -> None:
    reconciled = built.first["fct_flow_reconciliation_daily"]
    assert row_where(reconciled, market_id=INVERSE, bar_date=DAYS[0])["verdict"] == "exact"
    # Klines round each hour to eight decimals, trades are rounded once a day: the last digit may differ.
    assert row_where(reconciled, market_id=LINEAR, bar_date=DAYS[0])["verdict"] in ("exact", "within_tolerance")
    for market_id in (LINEAR, INVERSE):
        day = row_where(built.first["fct_net_taker_volume_daily"], market_id=market_id, bar_date=DAYS[0])
        assert (day["flow_source"], day["coverage_ratio"]) == ("trades", 1)


def test_a_day_of_partial_trades_is_the_klines_day_not_a_small_day(built: BuiltTwice) -> None:
    reconciled = row_where(built.first["fct_flow_reconciliation_daily"], market_id=LINEAR, bar_date=PARTIAL)
    day = row_where(built.first["fct_net_taker_volume_daily"], market_id=LINEAR, bar_date=PARTIAL)
    assert reconciled["verdict"] == "trades_incomplete"
    assert day["flow_source"] == "klines"
    assert day["volume_usd"] == reconciled["klines_volume_usd"] > 2 * reconciled["trades_volume_usd"]


def test_a_second_build_replaces_the_changed_days_and_nothing_else(built: BuiltTwice) -> None:
    trades = {(LINEAR, "trades", day) for day in (PARTIAL, CORRECTED, EMPTIED)} | {(INVERSE, "trades", MOVED)}
    assert built.second_window == trades | {(LINEAR, "klines", day) for day in DAYS}

    def outside(results: dict[str, list[Record]]) -> list[Record]:
        return [
            bar
            for bar in results["int_flow_bars"]
            if (bar["market_id"], bar["source"], bar["bar_date"]) not in built.second_window
        ]

    assert outside(built.first) == outside(built.second)
    corrected = {"market_id": LINEAR, "source": "trades", "bar_date": CORRECTED}
    before, after = (rows_where(results["int_flow_bars"], **corrected) for results in (built.first, built.second))
    assert len(before) == len(after) == 24
    assert all(old["taker_buy_usd"] < new["taker_buy_usd"] for old, new in zip(before, after, strict=True))


def test_a_day_that_a_correction_empties_disappears(built: BuiltTwice) -> None:
    emptied = {"market_id": LINEAR, "source": "trades", "bar_date": EMPTIED}
    assert rows_where(built.first["int_flow_bars"], **emptied)
    assert not rows_where(built.second["int_flow_bars"], **emptied)
    reconciled = row_where(built.second["fct_flow_reconciliation_daily"], market_id=LINEAR, bar_date=EMPTIED)
    assert reconciled["verdict"] == "trades_incomplete"


@pytest.mark.parametrize("result", RESULTS)
def test_an_incremental_build_ends_where_a_fresh_one_does(built: BuiltTwice, result: str) -> None:
    assert built.second[result]
    assert built.second[result] == built.fresh[result]


def test_a_funding_that_comes_late_is_no_longer_missing(built: BuiltTwice) -> None:
    missing = {
        name: [
            (row["funding_rate"], row["cumulative_rate"], row["missing_hours"]) for row in results["fct_funding_rates"]
        ]
        for name, results in (("first", built.first), ("second", built.second))
    }
    rates = [Decimal("0.0001"), Decimal("0.0002"), Decimal("0.0003")]
    assert missing["first"] == [(rates[0], rates[0], 0), (rates[2], Decimal("0.0004"), 8)]
    assert missing["second"] == [(rates[0], rates[0], 0), (rates[1], rates[2], 0), (rates[2], Decimal("0.0006"), 0)]


def test_an_absent_day_of_liquidations_is_a_row_without_numbers(built: BuiltTwice) -> None:
    assert built.first["fct_liquidations_daily"] == [
        {
            "venue": "simulated",
            "market_id": INVERSE,
            "bar_date": DAYS[0],
            "long_usd": None,
            "short_usd": None,
            "total_usd": None,
            "order_count": None,
            "unvalued_order_count": None,
            "largest_order_usd": None,
            "coverage_ratio": 0.0,
            "is_lower_bound": True,
            "liquidation_source": "archive",
            "subscribed_symbol_count": None,
            "conflicting_order_count": 0,
            "first_conflict": None,
            "venue_set": "simulated",
        }
    ]


def test_every_row_that_a_receipt_states_is_read(built: BuiltTwice) -> None:
    counted = built.warehouse.records("int_raw_row_counts")
    assert {row["dataset"] for row in counted} == {"aggTrades", "fundingRate", "klines", "metrics"}
    assert len(counted) == 19
    assert all(row["found_rows"] == row["expected_rows"] for row in counted)


def test_a_file_with_fewer_rows_than_its_receipt_states_is_named(built: BuiltTwice) -> None:
    built.zone.store("aggTrades", LINEAR, CORRECTED, trades_of(CORRECTED, hours=range(5)))
    built.zone.receipts["aggTrades", LINEAR, "", CORRECTED]["row_count"] = 96
    built.zone.write_index()
    built.warehouse.build("--select", "base_raw__receipts", "stg_raw__receipts", "int_raw_row_counts")
    differing = [
        (row["dataset"], row["market_id"], row["bar_date"], row["expected_rows"], row["found_rows"])
        for row in built.warehouse.records("int_raw_row_counts")
        if row["found_rows"] != row["expected_rows"]
    ]
    assert differing == [("aggTrades", LINEAR, CORRECTED, 96, 20)]


def test_a_failing_build_leaves_the_former_bars_standing(built: BuiltTwice) -> None:
    """Clearing the window and filling it are one transaction."""
    kept = built.warehouse.records("int_flow_bars")
    path = built.zone.store("aggTrades", LINEAR, CORRECTED, trades_of(CORRECTED, scale=5))
    built.zone.write_index()
    path.write_bytes(b"PAR1 torn PAR1")
    with pytest.raises(AssertionError, match="int_flow_bars"):
        built.warehouse.build()
    assert built.warehouse.records("int_flow_bars") == kept


@pytest.mark.parametrize("result", RESULTS)
def test_an_empty_raw_zone_builds_empty_marts(empty: Warehouse, result: str) -> None:
    assert empty.rows(f"select * from {result}") == []


def test_every_table_and_column_is_described_in_the_database(empty: Warehouse) -> None:
    undescribed = empty.rows(
        "select table_name, column_name from duckdb_columns() where not internal and comment is null"
        " union all select table_name, '' from duckdb_tables() where not internal and comment is null"
        " union all select view_name, '' from duckdb_views() where not internal and comment is null"
    )
    assert undescribed == []


def test_bars_have_the_type_of_price_that_a_later_build_looks_for(empty: Warehouse) -> None:
    with duckdb.connect(str(empty.path), read_only=True) as connection:
        types = connection.execute(
            "select distinct data_type from duckdb_columns() "
            "where table_name = 'int_flow_bars' and ends_with(column_name, '_price')"
        ).fetchall()
    assert types == [(BAR_PRICE_TYPE,)]


def test_marts_hold_the_types_that_people_rely_on(empty: Warehouse) -> None:
    with duckdb.connect(str(empty.path), read_only=True) as connection:
        types = {
            (table, column): type_
            for table, column, type_ in connection.execute(
                "select table_name, column_name, data_type from duckdb_columns() where starts_with(table_name, 'fct_')"
            ).fetchall()
        }
    for (_, column), type_ in types.items():
        if column.endswith(("_usd", "_base")) or column == "value":
            assert type_ == "DECIMAL(38,8)"
        if column.endswith(("_ratio", "percentile", "robust_z")):
            assert type_ == "DOUBLE"
        if column.endswith("_at"):
            assert type_ == "TIMESTAMP"
        if column.endswith("_date"):
            assert type_ == "DATE"
