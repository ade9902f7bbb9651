"""The whole project, built on a raw zone whose files are faulty as the venues' are: what is published of such a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.dbt.test_builds import midnight, row_where, rows_where
from tests.dbt.warehouse import RawFolder, Record, Warehouse

FIRST = date(2025, 1, 28)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]
MIDDLE = DAYS[1]
AT = midnight(MIDDLE).replace(tzinfo=None)
# One market a fault; all of them trade alike.
EMPTY_HOURS, EMPTY_ALONE, EMPTY_GAP, THIN = (
    "binance_um:AUSDT",
    "binance_um:BUSDT",
    "binance_um:CUSDT",
    "binance_um:DUSDT",
)
ONE_SIDED, SAVED, CUT, SET_ASIDE = "binance_um:EUSDT", "binance_um:FUSDT", "binance_um:GUSDT", "binance_um:HUSDT"
MONTH_LOST, PRICED_OFF = "binance_um:IUSDT", "binance_um:JUSDT"
DELIVERED = "binance_cm:BTCUSD_250129"
EMPTY = (3, 4)


def trades(day: date, *, hours: Sequence[int] = range(24), price: int = 100) -> list[Record]:
    """A trade in every minute, of which three in four are bought; an hour trades 60 × 100 USD, net 3,000."""
    rows = []
    for hour in hours:
        for minute in range(60):
            trade_id = day.toordinal() * 10_000 + hour * 60 + minute
            rows.append(
                {
                    "agg_trade_id": trade_id,
                    "first_trade_id": trade_id,
                    "last_trade_id": trade_id,
                    "price": Decimal(price),
                    "quantity": Decimal(1),
                    "traded_at": midnight(day) + timedelta(hours=hour, minutes=minute),
                    "is_buyer_maker": minute % 4 == 0,
                }
            )
    return rows


def klines(
    days: Sequence[date], *, empty: Sequence[int] = (), missing: Sequence[int] = (), count: int = 60
) -> list[Record]:
    """What the trades sum to; on the middle day `empty` hours without volume and `missing` ones without a bar."""
    rows = []
    for day in days:
        for hour in range(24):
            faulty = day == MIDDLE and hour in empty
            if day == MIDDLE and hour in missing:
                continue
            opened_at = midnight(day) + timedelta(hours=hour)
            rows.append(
                {
                    "opened_at": opened_at,
                    "closed_at": opened_at + timedelta(hours=1, milliseconds=-1),
                    **{f"{name}_price": Decimal(100) for name in ("open", "high", "low", "close")},
                    "volume": Decimal(0 if faulty else 60),
                    "quote_volume": Decimal(0 if faulty else 6000),
                    "taker_buy_volume": Decimal(0 if faulty else 45),
                    "taker_buy_quote_volume": Decimal(0 if faulty else 4500),
                    "trade_count": 0 if faulty else count,
                }
            )
    return rows


def store_klines(zone: RawFolder, market_id: str, rows: Sequence[Record]) -> None:
    zone.store("klines", market_id, FIRST, rows, interval="1h")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder: Path = tmp_path_factory.mktemp("defects")
    zone = RawFolder(folder / "zone")
    for market_id in (EMPTY_HOURS, EMPTY_ALONE, EMPTY_GAP):
        store_klines(zone, market_id, klines(DAYS, empty=EMPTY))
    store_klines(zone, THIN, klines(DAYS, empty=EMPTY, count=2))
    for market_id in (EMPTY_HOURS, EMPTY_GAP, ONE_SIDED, SAVED, CUT, SET_ASIDE, MONTH_LOST, PRICED_OFF):
        for day in DAYS:
            zone.store("aggTrades", market_id, day, trades(day))
    zone.receipts["aggTrades", EMPTY_GAP, "", MIDDLE]["id_gaps"] = 7
    for market_id in (ONE_SIDED, SAVED):
        zone.defect("implausible", "aggTrades", market_id, MIDDLE, rows=1440, reason="every trade is on one side")
    store_klines(zone, SAVED, klines(DAYS))
    zone.store("aggTrades", CUT, MIDDLE, trades(MIDDLE, hours=range(2)))
    at = datetime(2025, 1, 29, 5, tzinfo=UTC)
    zone.defect("quarantined_rows", "aggTrades", SET_ASIDE, MIDDLE, hour_at=at, rows=6, reason="a blank price")
    store_klines(zone, MONTH_LOST, klines(DAYS, missing=(5,)))
    zone.defect(
        "replaced_source", "klines", MONTH_LOST, MIDDLE, interval="1h", source_key="month.zip", used_instead="day.zip"
    )
    zone.store("aggTrades", PRICED_OFF, MIDDLE, trades(MIDDLE, price=1000))
    store_klines(zone, DELIVERED, klines(DAYS))
    zone.write_index()
    warehouse = Warehouse(folder / "warehouse", zone.url)
    warehouse.build()
    return warehouse


def day_of(built: Warehouse, market_id: str, day: date = MIDDLE) -> Record:
    return row_where(built.records("fct_net_taker_volume_daily"), market_id=market_id, bar_date=day)


def verdict_of(built: Warehouse, market_id: str, day: date = MIDDLE) -> Record:
    return row_where(built.records("fct_flow_reconciliation_daily"), market_id=market_id, bar_date=day)


def headline_of(built: Warehouse, market_id: str, day: date = MIDDLE) -> str:
    return str(row_where(built.records("rpt_market_brief_daily"), market_id=market_id, bar_date=day)["headline"])


def hours_of(built: Warehouse, market_id: str, day: date = MIDDLE) -> list[Record]:
    rows = rows_where(built.records("fct_net_taker_volume_hourly"), market_id=market_id)
    return [row for row in rows if row["bar_at"].date() == day]


def test_empty_bars_give_way_to_whole_trades(built: Warehouse) -> None:
    day, verdict = day_of(built, EMPTY_HOURS), verdict_of(built, EMPTY_HOURS)
    assert (day["net_taker_usd"], day["volume_usd"]) == (24 * 3000, 24 * 6000)
    assert (day["flow_source"], day["coverage_ratio"], day["flow_quality"]) == ("trades", 1, "replaced_source")
    assert (verdict["verdict"], verdict["klines_net_usd"], verdict["replaced_bars"]) == ("conflict", 22 * 3000, 2)
    assert {row["coverage_ratio"] for row in hours_of(built, EMPTY_HOURS)} == {1}
    assert "from trades (a faulty source replaced by another)" in headline_of(built, EMPTY_HOURS)


@pytest.mark.parametrize("market_id", [EMPTY_ALONE, EMPTY_GAP])
def test_without_whole_trades_the_hours_of_empty_bars_are_uncovered(built: Warehouse, market_id: str) -> None:
    day, verdict = day_of(built, market_id), verdict_of(built, market_id)
    assert (day["net_taker_usd"], day["flow_source"]) == (22 * 3000, "klines")
    assert (day["coverage_ratio"], day["flow_quality"]) == (pytest.approx(22 / 24), "rows_quarantined")
    assert (verdict["doubtful_bars"], verdict["kline_coverage_ratio"]) == (2, pytest.approx(22 / 24))
    assert [row["bar_at"].hour for row in hours_of(built, market_id)] == [n for n in range(24) if n not in EMPTY]


def test_a_thin_market_keeps_its_quiet_hours(built: Warehouse) -> None:
    day = day_of(built, THIN)
    assert (day["coverage_ratio"], day["flow_quality"]) == (1, "as_published")
    assert len(hours_of(built, THIN)) == 24


def test_implausible_trades_are_no_flow_and_their_day_is_seen(built: Warehouse) -> None:
    verdict = verdict_of(built, ONE_SIDED)
    assert (verdict["verdict"], verdict["defect_reason"]) == ("trades_implausible", "every trade is on one side")
    assert not rows_where(built.records("fct_net_taker_volume_daily"), market_id=ONE_SIDED, bar_date=MIDDLE)
    assert not hours_of(built, ONE_SIDED)
    assert day_of(built, ONE_SIDED, DAYS[0])["coverage_ratio"] == 1


def test_klines_stand_in_for_implausible_trades(built: Warehouse) -> None:
    day = day_of(built, SAVED)
    assert (day["flow_source"], day["coverage_ratio"], day["flow_quality"]) == ("klines", 1, "trades_implausible")
    assert verdict_of(built, SAVED)["verdict"] == "trades_implausible"
    assert "from klines (the trades published are implausible and not used)" in headline_of(built, SAVED)


def test_prices_far_from_both_neighbours_are_implausible(built: Warehouse) -> None:
    verdicts = [verdict_of(built, PRICED_OFF, day)["verdict"] for day in DAYS]
    assert verdicts == ["trades_only", "trades_implausible", "trades_only"]


def test_a_file_cut_after_two_hours_covers_two_hours_at_every_grain(built: Warehouse) -> None:
    day = day_of(built, CUT)
    assert (day["flow_source"], day["coverage_ratio"]) == ("trades", pytest.approx(2 / 24))
    bars = rows_where(built.records("int_bars"), market_id=CUT, bar_date=MIDDLE)
    covered = {(bar["grain_hours"], bar["bar_at"].hour): float(bar["coverage_ratio"]) for bar in bars}
    assert covered == {(1, 0): 1, (1, 1): 1, (4, 0): 0.5, (24, 0): pytest.approx(2 / 24)}
    ranks = rows_where(built.records("fct_taker_spike_ranks"), market_id=CUT, bar_at=AT)
    daily = [row for row in ranks if row["definition_id"].startswith("daily_")]
    assert {round(row["bar_coverage_ratio"], 6) for row in daily} == {round(2 / 24, 6)}
    assert {row["spike_rank"] for row in ranks} == {None}


def test_rows_set_aside_cost_their_minutes_and_are_named(built: Warehouse) -> None:
    day, verdict = day_of(built, SET_ASIDE), verdict_of(built, SET_ASIDE)
    assert (day["coverage_ratio"], day["flow_quality"]) == (pytest.approx(1 - 6 / 1440), "rows_quarantined")
    assert (verdict["quarantined_rows"], verdict["defect_reason"]) == (6, "a blank price")
    (hour,) = [row for row in hours_of(built, SET_ASIDE) if row["coverage_ratio"] < 1]
    assert (hour["bar_at"].hour, hour["coverage_ratio"], hour["flow_quality"]) == (5, 0.9, "rows_quarantined")
    assert "(6 rows of the venue's files set aside)" in headline_of(built, SET_ASIDE)


def test_a_missing_bar_is_filled_by_whole_trades_and_replaced_files_are_named(built: Warehouse) -> None:
    day, verdict = day_of(built, MONTH_LOST), verdict_of(built, MONTH_LOST)
    assert (day["net_taker_usd"], day["coverage_ratio"]) == (24 * 3000, 1)
    assert day["flow_quality"] == "replaced_source"
    assert verdict["replaced_sources"] == "month.zip by day.zip, 1 bars of the klines by the trades"


def test_nothing_lies_after_delivery(built: Warehouse) -> None:
    days = rows_where(built.records("fct_net_taker_volume_daily"), market_id=DELIVERED)
    assert [(row["bar_date"], row["coverage_ratio"]) for row in days] == [
        (DAYS[0], 1),
        (MIDDLE, pytest.approx(8 / 24)),
    ]
    assert {row["coverage_ratio"] for row in hours_of(built, DELIVERED)} == {1}
    (market,) = rows_where(built.records("dim_markets"), market_id=DELIVERED)
    assert market["delivered_at"] == AT + timedelta(hours=8)
    known = rows_where(built.records("fct_flow_reconciliation_daily"), market_id=DELIVERED)
    assert [row["bar_date"] for row in known] == DAYS[:2]
