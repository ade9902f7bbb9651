"""Content for a report without a warehouse: two years of one invented market, every section filled.

Belongs here: plausible rows with a few planted oddities. Does not: expectations.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from orchestration.report.content import Described, MarketContent, ReportContent, Row
from orchestration.serving.days import MarketDay, Rank
from orchestration.serving.liquidations import Liquidated

FIRST_DAY = date(2024, 6, 1)
DAYS = 760
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
MARKET = "simulated:BTCUSDT"
DEFINITIONS = ("4h_usd", "daily_usd")
NAMES = {"4h_usd": "4-hour bars, USD", "daily_usd": "UTC days, USD"}
HORIZONS = (1, 3, 7, 14, 30)
SET_ASIDE = "1 row of klines set aside: taker_buy_volume is above volume"


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def daily_row(number: int) -> Row:
    """Day `number`: no bar on 100, conflict on 200, rows set aside on 250, half covered on 300."""
    net = Decimal(round(400_000_000 * math.sin(number * 1.7) * (1 + (number % 53 == 0) * 4)))
    known = number > 720
    row: Row = {
        "bar_date": day(number),
        "net_taker_usd": net,
        "volume_usd": Decimal(9_000_000_000),
        "close_price": Decimal(60_000) + Decimal(round(15_000 * math.sin(number / 90))),
        "flow_source": "trades" if known else "klines",
        "coverage_ratio": 0.5 if number == 300 else 1.0,
        "flow_quality": "rows_quarantined" if number == 250 else "as_published",
        "defect_reason": SET_ASIDE if number == 250 else None,
        "taker_sell_ratio": 0.5 - float(net) / 18e9,
        "side": "bearish" if net < 0 else "bullish",
        "sell_dominance_percentile": None if number < 693 else (number * 37 % 730) / 729,
        "window_coverage_ratio": 0.999,
        "verdict": "conflict" if number == 200 else "exact" if known else "klines_only",
        "difference_usd": Decimal(0) if known else None,
        "interval_verdict": "single_interval",
        "kline_interval": "1h",
        "long_usd": Decimal(20_000_000 + number * 1000) if known and number != 740 else None,
        "short_usd": Decimal(15_000_000) if known and number != 740 else None,
        "order_count": 40 if known else None,
        "liquidations_coverage_ratio": None if not known else 0.0 if number == 740 else 1.0,
    }
    if number == 100:
        row |= {"net_taker_usd": None, "volume_usd": None, "close_price": None, "flow_source": None}
        row |= {
            "coverage_ratio": None,
            "flow_quality": None,
            "taker_sell_ratio": None,
            "side": None,
            "sell_dominance_percentile": None,
            "verdict": "klines_only",
        }
    return row


def events() -> list[Row]:
    return [
        {
            "definition_id": definition,
            "side": side,
            "bar_at": datetime.combine(day(number), time(16 if definition == "4h_usd" else 0)),
            "value": Decimal(-1_474_000_000 if side == "bearish" else 1_200_000_000),
            "spike_rank": rank,
            "event_rank": rank,
            "window_bars": 730,
            "coverage_ratio": 1.0,
        }
        for definition in DEFINITIONS
        for side, offset in (("bearish", 0), ("bullish", 20))
        for rank, number in enumerate(sorted({700 + offset, 742 + offset // 2, 755 - offset // 4}), 1)
    ]


def returns() -> list[Row]:
    return [
        {
            "definition_id": definition,
            "side": side,
            "event_at": datetime.combine(day(40 + 50 * number), time(0)),
            "horizon_days": horizon,
            "forward_return": 0.02 * math.sin(number * horizon) + horizon * 0.001,
        }
        for definition in DEFINITIONS
        for side in ("bearish", "bullish")
        for horizon in HORIZONS
        for number in range(12)
    ]


def study() -> list[Row]:
    return [
        {
            "definition_id": definition,
            "side": side,
            "horizon_days": horizon,
            "sample_size": 12 if side == "bearish" else 4,
            "hit_rate": 0.58,
            "median_return": 0.01,
            "mean_return": 0.012,
            "baseline_size": 700,
            "baseline_hit_rate": 0.51,
            "baseline_median": 0.002,
            "baseline_mean": 0.001,
            "p_value": 0.21 if side == "bearish" else None,
            "median_return_when_known": 0.004,
            "p_value_when_known": 0.4 if side == "bearish" else None,
            "is_conclusive": side == "bearish",
            "conclusion": "No different from other days."
            if side == "bearish"
            else "4 events: nothing can be concluded.",
        }
        for definition in DEFINITIONS
        for side in ("bearish", "bullish")
        for horizon in HORIZONS
    ]


def claims(market_id: str = MARKET) -> list[Row]:
    return [
        {
            "claim_id": "third-largest",
            "definition_id": definition,
            "market_id": market_id,
            "side": "bearish",
            "claimed_rank": 3,
            "window_days": 730,
            "as_of_at": datetime(2026, 6, 20),  # noqa: DTZ001 - the marts' instants are naive UTC
            "bar_at": datetime.combine(day(742), time(16)),
            "value": Decimal(-1_474_000_000),
            "actual_rank": rank,
            "actual_event_rank": rank,
            "window_bars": 730,
            "coverage_ratio": 1.0,
            "holds": rank == 3,
            "holds_by": "bars and events" if rank == 3 else None,
            "larger_events": "2025-10-10 (-1,914 M), 2024-03-05 (-1,748 M)",
            "verdict_sentence": f"It is number {rank} under {definition}.",
            "source": "news of 2026-06-20",
            "published_on": date(2026, 6, 20),
            "event_from": day(742),
            "event_to": day(742),
            "note": "The third-largest bearish spike in two years",
        }
        for definition, rank in (("4h_usd", 3), ("daily_usd", 10))
    ]


def revisions() -> list[Row]:
    return [
        {
            "definition_id": "daily_usd",
            "market_id": MARKET,
            "side": "bearish",
            "bar_at": datetime.combine(day(742), time(0)),
            "old_value": Decimal(-900_000_000),
            "new_value": Decimal(-1_474_000_000),
            "old_rank": 9,
            "new_rank": 3,
            "old_event_rank": 8,
            "new_event_rank": 3,
            "cause": "corrected_file",
            "source_keys": "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-06-12.zip",
            "previous_published_at": datetime(2026, 6, 29, 3),  # noqa: DTZ001
            "published_at": datetime(2026, 6, 30, 3),  # noqa: DTZ001
        }
    ]


def last_liquidations() -> list[Liquidated]:
    """All venues, received half of the time; a venue received in full; one not received at all; a market."""
    at = datetime(2026, 6, 30, 14)  # noqa: DTZ001 - the marts' instants are naive UTC
    longs, shorts = Decimal(484_000_000), Decimal(300_000_000)
    return [
        Liquidated("all:ALL", at, longs, shorts, 4_321, 7, longs, 0.5, True, "live", "binance_um,bybit,okx"),
        Liquidated("bybit:ALL", at, longs, shorts, 4_321, 0, longs, 1.0, False, "live", "bybit"),
        Liquidated("okx:ALL", at, None, None, None, None, None, 0.0, True, "live", "okx"),
        Liquidated("bybit:BTCUSDT", at, longs, shorts, 40, 0, longs, 1.0, True, "mixed", "bybit"),
    ]


def liquidation_days() -> list[Row]:
    return [
        {
            "market_id": "all:ALL",
            "bar_date": LAST_DAY - timedelta(days=number),
            "long_usd": Decimal(484_000_000 - number),
            "short_usd": Decimal(300_000_000),
            "order_count": 4_321,
            "unvalued_order_count": 7,
            "coverage_ratio": 0.97,
            "is_lower_bound": True,
            "liquidation_source": "live",
            "venue_set": "binance_um,bybit,okx",
        }
        for number in range(30)
    ]


def definitions() -> list[Row]:
    return [
        {
            "definition_id": name,
            "definition_name": NAMES[name],
            "grain": name[:2] if name[0].isdigit() else "1d",
            "smoothing_bars": 1,
            "unit": "usd",
            "window_days": 730,
            "decluster_hours": 24,
        }
        for name in DEFINITIONS
    ]


def brief() -> Row:
    return {
        "bar_date": LAST_DAY,
        "headline": f"SIMULATED: {MARKET} sold 2.0 B USD net on {LAST_DAY}, rank 3 of 730 days (daily_usd, trades).",
        "close_price": Decimal("78706.80"),
        "price_change_ratio": -0.065,
        "distance_from_high_ratio": -0.37,
        "long_liquidations_usd": Decimal(484_000_000),
        "short_liquidations_usd": Decimal(300_000_000),
        "liquidations_coverage_ratio": 1.0,
        "open_interest_usd": Decimal(8_000_000_000),
        "funding_rate": 0.0003,
    }


def ranks() -> list[Row]:
    """The last two days, under both definitions; the very last is no event yet."""
    return [
        {
            "definition_id": definition,
            "side": "bearish",
            "bar_at": datetime.combine(day(number), time(16 if definition == "4h_usd" else 0)),
            "value": Decimal(-2_000_000_000),
            "spike_rank": 3,
            "window_bars": 730,
            "percentile": 0.997,
            "is_event": None if number == DAYS - 1 else True,
            "event_rank": None if number == DAYS - 1 else 2,
        }
        for number in (DAYS - 2, DAYS - 1)
        for definition in DEFINITIONS
    ]


def positions() -> list[Row]:
    """Ten days; fundings of the first nine."""
    return [
        {
            "bar_date": day(number),
            "open_interest_usd": Decimal(6_500_000_000),
            "change_24h_ratio": -0.012,
            "funding_rate": None if number == DAYS - 1 else Decimal("0.0003"),
            "annualised_rate": None if number == DAYS - 1 else 0.1095,
            "cumulative_rate": None if number == DAYS - 1 else Decimal("0.0812"),
            "top_ratio": 1.2,
            "account_ratio": 1.6,
        }
        for number in range(DAYS - 10, DAYS)
    ]


def context() -> list[Row]:
    return [
        {
            "definition_id": definition,
            "side": "bearish",
            "event_at": datetime.combine(day(700), time(0)),
            "event_rank": 1,
            "open_interest_change_ratio": -0.081,
            "funding_rate": Decimal("-0.0002"),
            "long_liquidations_usd": Decimal(312_000_000),
            "short_liquidations_usd": None,
            "liquidations_coverage_ratio": 0.5,
            "is_lower_bound": True,
        }
        for definition in DEFINITIONS
    ]


def profile() -> list[Row]:
    """Takers sell on Saturdays at 18:00."""
    return [
        {
            "weekday": weekday,
            "hour_of_day": hour,
            "hour_count": 104,
            "net_taker_ratio": -0.03 if (weekday, hour) == (6, 18) else 0.001 * (hour % 5),
            "bought_ratio": 0.5,
            "mean_volume_usd": Decimal(500_000_000),
            "mean_return": 0.0001,
        }
        for weekday in range(1, 8)
        for hour in range(24)
    ]


def screened(market_id: str, net: int, rank: int | None) -> Row:
    """A market's row of the screen; without a rank nothing of it is known but its flow."""
    return {
        "market_id": market_id,
        "is_simulated": market_id.startswith("simulated:"),
        "bar_date": LAST_DAY,
        "net_taker_usd": Decimal(net),
        "net_taker_ratio": net / 9e9,
        "sell_dominance_percentile": None if rank is None else 1.0,
        "best_rank": rank,
        "best_rank_window_bars": 730,
        "best_rank_side": "bearish",
        "best_rank_definition_name": None if rank is None else NAMES["daily_usd"],
        "robust_z": None if rank is None else -4.2,
        "price_change_ratio": -0.05,
        "open_interest_change_24h_ratio": None,
        "funding_rate": None,
        "long_liquidations_usd": None if rank is None else Decimal(312_000_000),
        "short_liquidations_usd": None,
    }


def market(**changes: Any) -> MarketContent:
    """The invented market; `changes` replace fields."""
    name = changes.get("market_id", MARKET)
    latest = MarketDay(
        market_id=name,
        is_simulated=name.startswith("simulated:"),
        bar_date=LAST_DAY,
        net_taker_usd=Decimal(-2_014_600_000),
        volume_usd=Decimal(9_000_000_000),
        taker_sell_ratio=0.5768,
        sell_dominance_percentile=1.0,
        flow_source="trades",
        coverage_ratio=1.0,
        ranks=tuple(
            Rank(
                definition,
                NAMES[definition],
                "1d",
                "usd",
                730,
                "bearish",
                datetime.combine(LAST_DAY, time(0)),
                Decimal(-2_000_000_000),
                3,
                730,
                0.997,
                None,
                None,
            )
            for definition in DEFINITIONS
        ),
    )
    filled: dict[str, Any] = {
        "market_id": name,
        "is_simulated": name.startswith("simulated:"),
        "facts": {"market_id": name, "base_asset": "BTC"},
        "daily": [daily_row(number) for number in range(DAYS)],
        "events": events(),
        "study": study(),
        "returns": returns(),
        "brief": brief(),
        "latest": latest,
        "ranks": ranks(),
        "positions": positions(),
        "context": context(),
        "profile": profile(),
    }
    return MarketContent(**{**filled, **changes})


def content(**changes: Any) -> ReportContent:
    """A publication of the invented market; `changes` replace fields."""
    filled: dict[str, Any] = {
        "publication": {
            "published_at": datetime(2026, 7, 1, 2, 30, tzinfo=UTC).replace(tzinfo=None),
            "run_id": "0f6f2a51-demo",
            "first_day": FIRST_DAY,
            "last_day": LAST_DAY,
            "markets": [MARKET],
            "settings": {"kline_interval": ["1h"], "trades_dataset": "aggTrades"},
            "audit": {"fct_taker_spike_ranks": "passed", "fct_flow_reconciliation_daily": "warned"},
        },
        "markets": [market()],
        "definitions": definitions(),
        "claims": claims(),
        "revisions": revisions(),
        "revision_count": 1,
        "liquidations": last_liquidations(),
        "liquidation_days": liquidation_days(),
        "screen": [screened(MARKET, -2_014_600_000, 3), screened("simulated:ETHUSDT", -108_000_000, None)],
        "tables": {
            "fct_net_taker_volume_daily": Described(
                "Net taker volume per market and UTC day.",
                {"net_taker_usd": "Net taker volume in USD: **bought** − `sold`."},
            ),
            "dim_spike_definitions": Described("What a spike is, before any is ranked."),
        },
    }
    return ReportContent(**{**filled, **changes})
