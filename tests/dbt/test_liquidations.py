"""Liquidations of three venues and a simulated one, built for real and counted again in plain Python.

Two days. Binance's feed is received except for one hour that was not collected; Bybit's sends every order and ends in
the middle of the second day; OKX's counts in contracts. None of the orders is real.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from ingestion.domain.markets import DOLLARS
from orchestration.serving.liquidations import last_liquidations
from orchestration.warehouse.audit.gx import audit
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.dbt.warehouse import PROJECT, RawFolder, Record, Warehouse

FIRST = date(2026, 3, 1)
SECOND = FIRST + timedelta(days=1)
ARCHIVED = date(2024, 3, 1)
START = datetime(2026, 3, 1)  # noqa: DTZ001 - the marts' instants are naive UTC
HOUR = timedelta(hours=1)
AUDITED = [suite for suite in SUITES if "liquidations" in suite.query or suite.mart == "dim_markets"]
EIGHT = Decimal("1e-8")
NO_TESTS = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")

CONFIGURED, PERPETUAL, SIMULATED = "binance_um:BTCUSDT", "binance_cm:BTCUSD_PERP", "simulated:BTCUSDT"
SIMULATED_ETH = "simulated:ETHUSDT"
# market → quote, contract type, the convention's size, the venue's own size
MARKETS: dict[str, tuple[str, str, str | None, str | None]] = {
    CONFIGURED: ("USDT", "linear", "1", None),
    "binance_um:币安人生USDT": ("USDT", "linear", "1", None),
    "binance_um:ETHBTC": ("", "", None, None),
    "bybit:BTCUSD": ("USD", "inverse", "1", None),
    "okx:BTC-USDT-SWAP": ("USDT", "linear", None, "0.01"),
    "okx:NEW-USDT-SWAP": ("USDT", "linear", None, None),
    PERPETUAL: ("USD", "inverse", "100", None),
    SIMULATED: ("USDT", "linear", "1", None),
    SIMULATED_ETH: ("USDT", "linear", "1", None),
}
# venue → whether it sends every order, its hours with less than 60 minutes, and its first and last hour
FEEDS: dict[str, tuple[bool, dict[int, int], tuple[int, int]]] = {
    "binance_um": (False, {7: 0, 9: 30}, (0, 47)),
    "bybit": (True, {}, (2, 30)),
    "okx": (True, {20: 59}, (5, 47)),
    "simulated": (False, {}, (0, 47)),
}
# What the marts may say of each other's widths: the venues behind a row, by its own venue.
WIDTHS = {"all": ["binance_um", "bybit", "okx"], "simulated_all": ["simulated"]}


@dataclass(frozen=True)
class Order:
    market_id: str
    at: datetime
    is_long: bool
    price: Decimal
    quantity: Decimal

    @property
    def venue(self) -> str:
        return self.market_id.partition(":")[0]

    @property
    def hour(self) -> int:
        """Hours since the start of the first day."""
        return int((self.at - START) / HOUR)

    @property
    def usd(self) -> Decimal | None:
        quote, kind, convention, reported = MARKETS[self.market_id]
        size = reported or convention
        if not quote or size is None:
            return None
        usd = self.quantity * Decimal(size) * (1 if kind == "inverse" else self.price)
        return usd.quantize(EIGHT, ROUND_HALF_UP)


def invented_orders() -> list[Order]:
    """Some 200, each market's in a few bursts, among them the first and the last instant of an hour."""
    dice = random.Random(4)
    orders = []
    for market_id in MARKETS:
        if market_id == PERPETUAL:
            continue
        first, last = FEEDS[market_id.partition(":")[0]][2]
        for hour in sorted(dice.sample(range(first, last + 1), 9)):
            for _ in range(dice.randint(1, 5)):
                offset = dice.choice([0, 1, 3_599_999_999, dice.randrange(3_600_000_000)])
                orders.append(
                    Order(
                        market_id,
                        START + hour * HOUR + timedelta(microseconds=offset),
                        dice.random() < 0.6,
                        Decimal(dice.randrange(1, 10**13)).scaleb(-8),
                        Decimal(dice.randrange(1, 10**11)).scaleb(-8),
                    )
                )
    orders.append(Order(CONFIGURED, START + 7 * HOUR, True, Decimal(5), Decimal(5)))  # in the missing hour
    return orders


def raw_rows(orders: list[Order], venue: str, day: date) -> Iterator[Record]:
    for number, order in enumerate(orders):
        if (order.venue, order.at.date()) == (venue, day):
            symbol = order.market_id.partition(":")[2]
            quote, kind, convention, _ = MARKETS[order.market_id]
            row: dict[str, Any] = {
                "symbol_name": symbol,
                "liquidated_at": order.at.replace(tzinfo=UTC),
                "received_at": order.at.replace(tzinfo=UTC) + timedelta(milliseconds=40),
                "is_long_liquidated": order.is_long,
                "price": order.price,
                "quantity": order.quantity,
                "original_quantity": None,
                "limit_price": None,
                "event_id": f"{number}",
                "base_asset": "B" if quote else "",
                "quote_asset": quote,
                "contract_type": kind,
                "contract_size": convention and Decimal(convention),
            }
            yield row
            if number % 3 == 0:  # the other connection received it too
                yield {**row, "received_at": row["received_at"] + timedelta(milliseconds=1)}


def snapshot(at: datetime, side: str, quantity: int) -> Record:
    return {
        "liquidated_at": at.replace(tzinfo=UTC),
        "side": side,
        "order_type": "LIMIT",
        "time_in_force": "IOC",
        "order_status": "FILLED",
        "original_quantity": quantity,
        "price": Decimal(59_000 if side == "SELL" else 61_000),
        "average_price": Decimal(60_000),
        "accumulated_fill_quantity": quantity,
    }


def bars(day: date) -> list[Record]:
    opened = [datetime(day.year, day.month, day.day, hour, tzinfo=UTC) for hour in range(24)]
    # Prices of the orders are invented, from next to nothing to 100,000.
    flow: Record = {"taker_buy_volume": 1, "volume": 3, "quote_volume": 9, "trade_count": 2}
    flow |= {"low_price": Decimal("1e-9"), "high_price": 10**6}
    return [{"opened_at": at, "closed_at": at + timedelta(hours=1, milliseconds=-1), **flow} for at in opened]


@dataclass
class Collected:
    zone: RawFolder
    warehouse: Warehouse
    orders: list[Order] = field(default_factory=invented_orders)

    def minutes(self, venue: str, hour: int) -> int:
        _, short, (first, last) = FEEDS[venue]
        return short.get(hour, 60) if first <= hour <= last else 0

    def store(self) -> None:
        for venue, (every, _, (first, last)) in FEEDS.items():
            for day in (FIRST, SECOND):
                self.zone.store("liquidations", f"{venue}:ALL", day, list(raw_rows(self.orders, venue, day)))
            for hour in range(first, last + 1):
                if minutes := self.minutes(venue, hour):
                    at = (START + hour * HOUR).replace(tzinfo=UTC)
                    self.zone.covered(f"{venue}:ALL", at, minutes, all_orders=every)
        reported = {"symbol_name": "BTC-USDT-SWAP", "observed_at": START.replace(tzinfo=UTC)}
        reported |= {
            "base_asset": "BTC",
            "quote_asset": "USDT",
            "contract_type": "linear",
            "contract_size": Decimal("0.01"),
        }
        self.zone.store("instruments", "okx:ALL", FIRST, [reported])
        for market_id in (CONFIGURED, SIMULATED):
            self.zone.store("klines", market_id, FIRST, bars(FIRST), interval="1h")
        at = datetime(2024, 3, 1, 23, 59, 59)  # noqa: DTZ001
        self.zone.store("liquidationSnapshot", PERPETUAL, ARCHIVED, [snapshot(at, "SELL", 7), snapshot(at, "BUY", 2)])
        self.zone.absent("liquidationSnapshot", PERPETUAL, ARCHIVED + timedelta(days=1))
        self.zone.write_index()


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    folder = tmp_path_factory.mktemp("liquidations")
    zone = RawFolder(folder / "zone")
    found = Collected(zone, Warehouse(folder / "warehouse", zone.url))
    found.store()
    found.warehouse.build()
    return found


def due(found: Collected, venue: str, market_id: str, hours: range) -> Record:
    """The live row over these hours, counted from the orders and minutes."""
    venues = WIDTHS.get(venue, [venue])
    # A venue counts among all as long as it was received in the last 24 hours.
    last = {each: FEEDS[each][2] for each in venues}
    if venue in WIDTHS:
        venues = [
            each
            for each in venues
            if any(last[each][0] <= h <= last[each][1] + 23 for h in (hours if len(hours) == 24 else [hours[-1]]))
        ]
    minutes = sum(found.minutes(each, hour) for each in venues for hour in hours)
    orders = [
        order
        for order in found.orders
        if order.venue in venues
        and order.hour in hours
        and found.minutes(order.venue, order.hour)
        and market_id in (order.market_id, f"{venue}:ALL")
    ]
    usd = [(order.usd, order.is_long) for order in orders if order.usd is not None]
    longs, shorts = (sum((value for value, long in usd if long is side), Decimal(0)) for side in (True, False))
    exact = all(FEEDS[each][0] for each in venues) and minutes == 60 * len(hours) * len(venues)
    unvalued = len(orders) - len(usd)
    known = minutes > 0
    return {
        "venue": venue,
        "market_id": market_id,
        "long_usd": longs if known else None,
        "short_usd": shorts if known else None,
        "total_usd": longs + shorts if known else None,
        "order_count": len(orders) if known else None,
        "unvalued_order_count": unvalued if known else None,
        "largest_order_usd": max((value for value, _ in usd), default=None) if known else None,
        "coverage_ratio": minutes / (60 * len(hours) * len(venues)),
        "is_lower_bound": not (exact and unvalued == 0),
        "liquidation_source": "live",
        "venue_set": ",".join(venues),
        "subscribed_symbol_count": None,
        "conflicting_order_count": 0,
        "first_conflict": None,
    }


def live_rows(records: list[Record]) -> list[Record]:
    found = [record for record in records if record["liquidation_source"] == "live"]
    assert found
    return found


def test_every_live_hour_follows_from_the_orders_and_minutes(collected: Collected) -> None:
    for row in live_rows(collected.warehouse.records("fct_liquidations_hourly")):
        hour = int((row.pop("bar_at") - START) / HOUR)
        assert row == due(collected, row["venue"], row["market_id"], range(hour, hour + 1))


def test_every_live_day_follows_from_the_orders_and_minutes(collected: Collected) -> None:
    for row in live_rows(collected.warehouse.records("fct_liquidations_daily")):
        first = 24 * (row.pop("bar_date") - FIRST).days
        assert row == due(collected, row["venue"], row["market_id"], range(first, first + 24))


def test_every_live_rolling_day_follows_from_the_orders_and_minutes(collected: Collected) -> None:
    for row in live_rows(collected.warehouse.records("fct_liquidations_rolling_24h")):
        end = int((row.pop("as_of_at") - START) / HOUR)
        # The 24 hours before its end, half-open; those before the first day were not collected.
        assert row == due(collected, row["venue"], row["market_id"], range(end - 24, end))


def test_the_hours_are_those_of_the_feed_and_of_a_received_market_those_with_an_order(collected: Collected) -> None:
    rows = collected.warehouse.rows(
        "select market_id, bar_at from fct_liquidations_hourly where bar_at >= '2026-01-01'"
    )
    hours: dict[str, set[int]] = {}
    for market_id, at in rows:
        hours.setdefault(market_id, set()).add(int((at - START) / HOUR))
    for market_id in (CONFIGURED, "binance_um:ALL", "all:ALL", SIMULATED, "simulated_all:ALL"):
        assert hours.pop(market_id) == set(range(48))
    assert hours.pop("bybit:ALL") == set(range(2, 31))
    assert hours.pop("okx:ALL") == set(range(5, 48))
    assert hours.pop("simulated:ALL") == set(range(48))
    for market_id, found in hours.items():
        assert found == {
            order.hour
            for order in collected.orders
            if order.market_id == market_id and collected.minutes(order.venue, order.hour)
        }


def test_a_received_market_has_rolling_days_while_an_order_is_in_them(collected: Collected) -> None:
    market_id = "binance_um:币安人生USDT"
    rows = collected.warehouse.rows(
        f"select as_of_at, order_count from fct_liquidations_rolling_24h where market_id = '{market_id}'"
    )
    ends = {int((at - START) / HOUR) for at, _ in rows}
    received_hours = {
        o.hour for o in collected.orders if o.market_id == market_id and collected.minutes(o.venue, o.hour)
    }
    assert ends == {end for end in range(1, 49) if received_hours & set(range(end - 24, end))}
    assert min(count for _, count in rows) >= 1


def test_the_archive_s_day_is_covered_and_always_a_lower_bound(collected: Collected) -> None:
    days = collected.warehouse.rows(
        "select bar_date, long_usd, short_usd, order_count, coverage_ratio, is_lower_bound, liquidation_source"
        f" from fct_liquidations_daily where market_id = '{PERPETUAL}' order by 1"
    )
    assert days == [
        (ARCHIVED, 700, 200, 2, 1, True, "archive"),
        (ARCHIVED + timedelta(days=1), None, None, None, 0, True, "archive"),
    ]
    hours = collected.warehouse.rows(
        "select count(*), sum(total_usd), sum(coverage_ratio)"
        f" from fct_liquidations_hourly where market_id = '{PERPETUAL}'"
    )
    assert hours == [(48, 900, 24)]
    # What an archive has of one market is not what its venue has.
    assert not collected.warehouse.rows("from fct_liquidations_daily where market_id = 'binance_cm:ALL'")


def test_the_archive_replaces_what_was_received(collected: Collected, tmp_path: Path) -> None:
    """The simulated exchange has both; its venue's total is then made of both."""
    zone = RawFolder(tmp_path / "zone")
    for hour in range(24):
        zone.covered("simulated:ALL", (START + hour * HOUR).replace(tzinfo=UTC), 50)
    received_rows = [
        Order(SIMULATED, START + 5 * HOUR, True, Decimal(10), Decimal(3)),
        Order(SIMULATED_ETH, START + 5 * HOUR, False, Decimal(10), Decimal(4)),
    ]
    zone.store("liquidations", "simulated:ALL", FIRST, list(raw_rows(received_rows, "simulated", FIRST)))
    archived = snapshot(START + 5 * HOUR, "SELL", 2)
    zone.store("liquidationSnapshot", SIMULATED, FIRST, [archived])
    zone.write_index()
    warehouse = Warehouse(tmp_path / "warehouse", zone.url)
    warehouse.dbt("build", "--select", "+fct_liquidations_daily", *NO_TESTS)
    assert warehouse.rows(
        "select market_id, long_usd, short_usd, round(coverage_ratio, 4), liquidation_source"
        " from fct_liquidations_daily order by 1"
    ) == [
        ("simulated:ALL", 120_000, 40, 0.8333, "mixed"),
        (SIMULATED, 120_000, 0, 1, "archive"),
        (SIMULATED_ETH, 0, 40, 0.8333, "live"),
        ("simulated_all:ALL", 120_000, 40, 0.8333, "mixed"),
    ]


def test_a_venue_received_for_some_symbols_has_their_number_and_a_market_its_own_coverage(tmp_path: Path) -> None:
    """X is subscribed to in the first half of the day, Y all day; a message is lost in an hour of the second half."""
    zone = RawFolder(tmp_path / "zone")
    for hour in range(24):
        at = (START + hour * HOUR).replace(tzinfo=UTC)
        symbols = "XUSDT YUSDT ZUSDT" if hour < 12 else "YUSDT"
        lost = 1 if hour == 20 else 0
        zone.covered("bybit:ALL", at, all_orders=True, heard_symbols=symbols, lost_messages=lost)
        zone.covered("binance_um:ALL", at, 30)
    received_rows = [
        {
            "symbol_name": symbol,
            "liquidated_at": (START + hour * HOUR).replace(tzinfo=UTC),
            "received_at": (START + hour * HOUR).replace(tzinfo=UTC),
            "is_long_liquidated": True,
            "price": Decimal("0.000006812345"),
            "quantity": Decimal(1_000_000),
            "original_quantity": None,
            "limit_price": None,
            "event_id": f"{symbol}{hour}",
            "base_asset": "B",
            "quote_asset": "USDT",
            "contract_type": "linear",
            "contract_size": Decimal(1),
        }
        for symbol, hour in (("XUSDT", 3), ("YUSDT", 3), ("YUSDT", 19), ("ZUSDT", 13))
    ]
    zone.store("liquidations", "bybit:ALL", FIRST, received_rows)
    zone.store("liquidations", "binance_um:ALL", FIRST, [])
    zone.write_index()
    warehouse = Warehouse(tmp_path / "warehouse", zone.url)
    warehouse.dbt("build", "--select", "+fct_liquidations_daily", "+fct_liquidations_rolling_24h", *NO_TESTS)
    reported = "long_usd, order_count, coverage_ratio, is_lower_bound, subscribed_symbol_count"
    fine = Decimal("6.812345")
    # What Z lost was in an hour that was not collected.
    assert warehouse.rows(f"select market_id, {reported} from fct_liquidations_daily order by 1") == [
        ("all:ALL", 3 * fine, 3, 0.75, True, 1),
        ("binance_um:ALL", 0, 0, 0.5, True, None),
        ("bybit:ALL", 3 * fine, 3, 1, True, 1),
        ("bybit:XUSDT", fine, 1, 0.5, True, None),
        ("bybit:YUSDT", 2 * fine, 2, 1, True, None),
    ]
    windows = "from fct_liquidations_rolling_24h where as_of_at"
    assert warehouse.rows(f"select market_id, {reported} {windows} = '2026-03-01 12:00' order by 1") == [
        ("all:ALL", 2 * fine, 2, 0.375, True, 3),
        ("binance_um:ALL", 0, 0, 0.25, True, None),
        ("bybit:ALL", 2 * fine, 2, 0.5, True, 3),
        ("bybit:XUSDT", fine, 1, 0.5, True, None),
        ("bybit:YUSDT", fine, 1, 0.5, True, None),
    ]
    bounds = "select bar_at, is_lower_bound from fct_liquidations_hourly where market_id = 'bybit:YUSDT' order by 1"
    warehouse.dbt("build", "--select", "fct_liquidations_hourly", *NO_TESTS)
    assert [bound for _, bound in warehouse.rows(bounds)] == [False, False]


def test_the_brief_of_a_day_has_the_market_s_and_all_liquidations(collected: Collected) -> None:
    days = {
        row["market_id"]: row
        for row in collected.warehouse.records("fct_liquidations_daily")
        if row["bar_date"] == FIRST
    }
    briefs = {row["market_id"]: row for row in collected.warehouse.records("rpt_market_brief_daily")}
    for market_id, all_id, venues in (
        (CONFIGURED, "all:ALL", "binance_um, bybit and okx"),
        (SIMULATED, "simulated_all:ALL", "simulated"),
    ):
        brief = briefs[market_id]
        assert brief["long_liquidations_usd"] == days[market_id]["long_usd"]
        assert brief["liquidations_coverage_ratio"] == days[market_id]["coverage_ratio"]
        assert brief["all_short_liquidations_usd"] == days[all_id]["short_usd"]
        assert brief["all_liquidations_venue_set"] == days[all_id]["venue_set"]
        share = int(days[all_id]["coverage_ratio"] * 100)
        assert f" short on {venues}, {share} % of the day received." in brief["headline"]


@pytest.mark.parametrize("suite", AUDITED, ids=lambda suite: suite.name)
def test_the_audit_passes(collected: Collected, suite: AuditSuite) -> None:
    """Every suite that reads liquidations, on marts that dbt made: the suites' own tests make theirs by hand."""
    with duckdb.connect(str(collected.warehouse.path), read_only=True) as connection:
        verdict = audit(connection, suite)
    assert [result for result in verdict.results if not result["success"]] == []


def test_the_answer_is_the_newest_24_hours_of_all_then_venues_then_markets(collected: Collected) -> None:
    rows = last_liquidations(collected.warehouse.path)
    ends = [(row.market_id, int((row.as_of_at - START) / HOUR)) for row in rows]
    # Bybit fell silent; the archive of the perpetual ended two years before.
    venues = [("binance_um:ALL", 48), ("bybit:ALL", 31), ("okx:ALL", 48), ("simulated:ALL", 48)]
    assert ends == [("all:ALL", 48), ("simulated_all:ALL", 48), *venues, (CONFIGURED, 48), (SIMULATED, 48)]
    expected = due(collected, "all", "all:ALL", range(24, 48))
    assert {name: getattr(rows[0], name) for name in ("long_usd", "coverage_ratio", "venue_set")} == {
        name: expected[name] for name in ("long_usd", "coverage_ratio", "venue_set")
    }
    assert {row.market_id for row in last_liquidations(collected.warehouse.path, [CONFIGURED])} == {
        row.market_id for row in rows
    } - {SIMULATED}


def test_received_markets_are_known_by_their_own_names(collected: Collected) -> None:
    rows = collected.warehouse.rows(
        "select market_id, contract_size, contract_size_source, is_ingested from dim_markets"
        " where venue in ('binance_um', 'okx') order by 1"
    )
    assert rows == [
        (CONFIGURED, 1, "convention", True),
        ("binance_um:ETHBTC", None, "unknown", False),
        ("binance_um:币安人生USDT", 1, "convention", False),
        ("okx:BTC-USDT-SWAP", Decimal("0.01"), "instruments", False),
        ("okx:NEW-USDT-SWAP", None, "unknown", False),
    ]


def test_a_venue_that_contradicts_the_seed_fails_the_build_and_states_how(tmp_path: Path) -> None:
    zone = RawFolder(tmp_path / "zone")
    reported: dict[str, Any] = {"symbol_name": "BTCUSD_PERP", "observed_at": START.replace(tzinfo=UTC)}
    reported |= {
        "base_asset": "BTC",
        "quote_asset": "USD",
        "contract_type": "inverse",
        "contract_size": Decimal(10),
    }
    zone.store("instruments", "binance_cm:ALL", FIRST, [reported])
    zone.write_index()
    warehouse = Warehouse(tmp_path / "warehouse", zone.url)
    with pytest.raises(AssertionError, match="agrees_with_instruments_markets"):
        warehouse.build("--select", "+dim_markets", "--indirect-selection", "cautious", "--store-failures")
    ((failures,),) = warehouse.rows(
        "select schema_name || '.' || table_name from duckdb_tables() where starts_with(table_name, 'agrees_with')"
    )
    assert warehouse.rows(f"select value_text from {failures}") == [
        (
            "seed markets.csv has 100.00000000, the venue reported 10.00000000 on 2026-03-01: correct or remove the "
            "row of binance_cm:BTCUSD_PERP in dbt_project/seeds/markets.csv",
        )
    ]
    # Nothing is valued with a size that is in doubt.
    assert not warehouse.rows("from duckdb_tables() where table_name = 'dim_markets'")


@pytest.mark.parametrize(
    ("listed_on", "conflicts"), [("2020-08-10", 0), ("2020-08-11", 1), ("2020-08-09", 1), (None, 0)]
)
def test_a_listing_day_that_the_venue_contradicts_is_a_conflict(listed_on: str | None, conflicts: int) -> None:
    """The generic test's own SQL: the seed as committed has no such day to contradict."""
    text = (PROJECT / "tests/generic/agrees_with_instruments.sql").read_text()
    text = text.replace("{% test ", "{% macro ").replace("{% endtest %}", "{% endmacro %}")
    module: Any = jinja2.Environment(autoescape=False).from_string(text).module
    day = "null" if listed_on is None else f"'{listed_on}'"
    seed = f"(select 'v:S' as market_id, 1 as contract_size, cast({day} as date) as listed_on)"
    reported = (
        "(select 'v:S' as market_id, 1 as contract_size, timestamp '2020-08-10 23:59:59' as listed_at,"
        " timestamp '2026-03-01' as observed_at"
        " union all select 'v:T', 1, timestamp '2001-01-01', timestamp '2026-03-01')"
    )
    found = duckdb.sql(str(module.agrees_with_instruments(seed, reported))).fetchall()
    assert found == conflicts * [
        (
            "listed_on is as the venue reports it",
            "market_id v:S",
            f"seed markets.csv has {listed_on}, the venue reported 2020-08-10 on 2026-03-01: correct or empty "
            "listed_on of v:S in dbt_project/seeds/markets.csv",
        )
    ]


def test_dollars_are_the_same_for_dbt_and_for_ingestion() -> None:
    text = (PROJECT / "macros/liquidations.sql").read_text()
    assert f"return([{', '.join(repr(name) for name in ('USD', *DOLLARS))}])" in text
