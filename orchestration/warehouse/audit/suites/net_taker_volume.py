"""Net taker volume of hours and days: identities, prices, sums of hours and over venues, the net so far, no day lost.

Belongs here: the suites of `fct_net_taker_volume_*`. Does not: which source a day comes from (`reconciliation`).
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import (
    WARNING,
    AtLeast,
    AuditSuite,
    Between,
    Holds,
    Known,
    NotEmpty,
    OneOf,
    Rule,
    UniqueKey,
    Zero,
)
from orchestration.warehouse.audit.tolerances import DOUBLE, ROUNDING, SHARE

FLOW_SOURCES: Final = ("trades", "klines", "rest_klines", "rest_trades", "live_trades", "mixed")

_USD: Final = ("taker_buy_usd", "taker_sell_usd", "net_taker_usd", "volume_usd")
_BASE: Final = ("taker_buy_base", "taker_sell_base", "net_taker_base", "volume_base")
_PRICES: Final = ("open_price", "high_price", "low_price", "close_price")
_BAR: Final[tuple[Rule, ...]] = (
    UniqueKey(),
    Zero("usd_sum_residual", "taker buy + taker sell = volume, in USD, to the last digit", _USD),
    Zero("base_sum_residual", "taker buy + taker sell = volume, in base, to the last digit", _BASE),
    Zero("usd_net_residual", "net = taker buy - taker sell, in USD, to the last digit", _USD),
    Zero("base_net_residual", "net = taker buy - taker sell, in base, to the last digit", _BASE),
    Between("smallest_amount", 0, None, "no side is negative", (*_USD, *_BASE)),
    Between("taker_sell_ratio", 0, 1, "the sell ratio is a share", _USD),
    Between("sell_ratio_error", 0, DOUBLE, "sell ratio = taker sell / volume", ("taker_sell_ratio", *_USD)),
    Between("buy_sell_ratio_error", 0, DOUBLE, "ratio = taker buy / taker sell", ("taker_buy_sell_ratio", *_USD)),
    Between("coverage_ratio", 0, 1, "coverage is a share"),
    Known("coverage_ratio", "coverage is known"),
    Between("trade_count", 0, None, "the number of trades is not negative"),
    OneOf("flow_source", FLOW_SOURCES, "the source of the flow is named"),
    Known("flow_source", "the source of the flow is known"),
    Holds("is_venue_of_market", "the venue is the market's", ("venue",)),
    Holds("is_venue_set_named", "the venues of a sum are named, and a market has one", ("venue", "venue_set")),
    Holds("is_provision_stated", "what does not come from the archive is provisional", ("flow_source",)),
    Holds("is_running_provisional", "a running bar is provisional and not whole", ("is_provisional",)),
    Holds("is_price_known", "a bar with volume has prices", (*_PRICES, "volume_usd")),
    # This warehouse derives the prices of trades; those of a kline are the venue's, and its one bad bar blocks nothing.
    Holds("is_venue_price_in_order", "the venue's bar has positive prices in order", _PRICES, WARNING),
    AtLeast("lower_end_price", "low_price", "no open or close below the low", _PRICES),
    AtLeast("high_price", "upper_end_price", "no open or close above the high", _PRICES),
    # A wrong contract size or swapped units put the average price far outside the bar; a venue's rounding barely.
    Between(
        "average_price_excursion",
        None,
        0.5,
        "USD / base is a price of that bar: units and contract size are right",
        ("average_price", "low_price", "high_price", "volume_usd", "volume_base"),
    ),
    Between(
        "own_average_price_excursion",
        None,
        1e-5,
        "the average price lies within the bar",
        ("average_price", "low_price", "high_price", "volume_usd", "volume_base"),
        WARNING,
    ),
    Between(
        "close_change_ratio",
        -0.5,
        0.5,
        "the price does not jump by half between two closes",
        ("previous_close_price", "close_price"),
        WARNING,
    ),
)

HOURLY: Final = AuditSuite(
    name="fct_net_taker_volume_hourly",
    mart="fct_net_taker_volume_hourly",
    key=("market_id", "bar_at"),
    sql="fct_net_taker_volume.sql",
    description="Every hour adds up, keeps its prices in order and states how much of it is covered.",
    rules=(
        *_BAR,
        Holds("is_whole_hour", "a bar begins on the hour"),
    ),
    follows_changes=True,
)

DAILY: Final = AuditSuite(
    name="fct_net_taker_volume_daily",
    mart="fct_net_taker_volume_daily",
    key=("market_id", "bar_date"),
    sql="fct_net_taker_volume.sql",
    description="Every day adds up, keeps its prices in order and states how much of it is covered.",
    rules=(
        *_BAR,
        NotEmpty(),
        OneOf("source_bar_hours", (1, 4, 24), "a day is summed from bars of 1, 4 or 24 hours"),
    ),
)

_GAP: Final = ("missing_days", "absent_days", "empty_days", "unrequested_days", "unusable_days")

DAILY_GAPS: Final = AuditSuite(
    name="fct_net_taker_volume_daily_gaps",
    mart="fct_net_taker_volume_daily",
    key=("market_id", "last_day_before", "first_day_after"),
    sql="fct_net_taker_volume_daily_gaps.sql",
    description="No day is lost between a market's first and last: what is missing, the venue did not publish.",
    rules=(
        Zero("lost_days", "no day is missing that a receipt holds usable rows of", _GAP),
        Zero("unusable_days", "no day is missing because what the venue published can be no market", _GAP, WARNING),
        Zero("unrequested_days", "every day in between was requested and could be read", _GAP, WARNING),
        Zero("empty_days", "no file of the venue is stored without a row of its day", _GAP, WARNING),
    ),
)

_VOLUMES: Final = ("daily_volume_usd", "hourly_volume_usd", "hourly_bars")

HOURLY_DAYS: Final = AuditSuite(
    name="fct_net_taker_volume_hourly_days",
    mart="fct_net_taker_volume_hourly",
    key=("market_id", "bar_date"),
    sql="fct_net_taker_volume_hourly_days.sql",
    description="A day summed from hours is the sum of its hours, and neither mart has a day that the other lacks.",
    rules=(
        Holds("is_in_daily", "a day with hours is a day of the daily mart", ("hourly_bars",)),
        Holds("is_in_hourly", "a day summed from hours has its hours", ("daily_volume_usd",)),
        Between("usd_difference", 0, ROUNDING, "a day is the sum of its hours, in USD, on each side", _VOLUMES),
        Between("base_difference", 0, ROUNDING, "a day is the sum of its hours, in base, on each side", _VOLUMES),
        Zero("trade_count_difference", "a day counts its hours' trades", ("daily_trade_count", "hourly_trade_count")),
        Between("coverage_error", 0, SHARE, "a day covers what its hours cover", ("hourly_bars",)),
        Zero("high_difference", "a day's high is the highest of its hours"),
        Zero("low_difference", "a day's low is the lowest of its hours"),
        Holds("is_fill_negligible", "the hours of a day come from the day's source", ("filled_volume_usd", *_VOLUMES)),
    ),
    follows_changes=True,
)

_SUMMED: Final = ("taker_buy_usd", "taker_sell_usd", "due_buy_usd", "due_sell_usd")
_SUM: Final[tuple[Rule, ...]] = (
    Holds("is_summed", "every bar of a market is part of the sum over its venues"),
    Holds("has_markets", "a sum over venues has markets"),
    Zero("usd_difference", "a sum is that of its markets, in USD, on each side, to the last digit", _SUMMED),
    Zero("base_difference", "a sum is that of its markets, in base, on each side, to the last digit", _SUMMED),
    Zero("trade_count_difference", "a sum counts its markets' trades"),
    Between(
        "coverage_error",
        0,
        DOUBLE,
        "a sum is covered as its least covered market is",
        ("coverage_ratio", "due_coverage_ratio"),
    ),
    Holds("is_venue_set_right", "a sum names the venues that it holds", ("venue_set", "due_venue_set")),
    Holds("is_state_right", "a sum is provisional, and running, when one of its markets is"),
)

HOURLY_SUMS: Final = AuditSuite(
    name="fct_net_taker_volume_hourly_sums",
    mart="fct_net_taker_volume_hourly",
    key=("market_id", "bar_at"),
    sql="fct_net_taker_volume_sums.sql",
    description="An hour of a sum over venues is the sum of its markets' hours, and as covered as the least of them.",
    rules=_SUM,
    follows_changes=True,
)
DAILY_SUMS: Final = AuditSuite(
    name="fct_net_taker_volume_daily_sums",
    mart="fct_net_taker_volume_daily",
    key=("market_id", "bar_date"),
    sql="fct_net_taker_volume_sums.sql",
    description="A day of a sum over venues is the sum of its markets' days, and as covered as the least of them.",
    rules=_SUM,
)

_SO_FAR: Final = ("cvd_usd", "previous_cvd_usd", "net_taker_usd", "cvd_base", "previous_cvd_base", "net_taker_base")
_CUMULATIVE: Final[tuple[Rule, ...]] = (
    Between("net_ratio_error", 0, DOUBLE, "net ratio = net / volume", ("net_taker_ratio", "net_taker_usd")),
    Between("return_error", 0, DOUBLE, "return = close / open - 1", ("price_return",)),
    Holds("is_begun_rightly", "the net is summed from the first complete bar on", ("cvd_usd", "coverage_ratio")),
    Zero("cvd_usd_residual", "the net so far is that of the bar before and this one's, in USD", _SO_FAR),
    Zero("cvd_base_residual", "the net so far is that of the bar before and this one's, in base", _SO_FAR),
    Between("missing_error", 0, SHARE, "hours that are not covered, or without a bar, are counted as missing"),
)

HOURLY_CVD: Final = AuditSuite(
    name="fct_net_taker_volume_hourly_cvd",
    mart="fct_net_taker_volume_hourly",
    key=("market_id", "bar_at"),
    sql="fct_net_taker_volume_cvd.sql",
    description="The net so far of an hour continues that of the hour before, and what it lacks is counted.",
    rules=(
        *_CUMULATIVE,
        Zero("cvd_day_usd_residual", "the net of the day so far is that of its hours, in USD", ("cvd_day_usd",)),
        Zero("cvd_day_base_residual", "the net of the day so far is that of its hours, in base", ("cvd_day_base",)),
    ),
    follows_changes=True,
)
DAILY_CVD: Final = AuditSuite(
    name="fct_net_taker_volume_daily_cvd",
    mart="fct_net_taker_volume_daily",
    key=("market_id", "bar_date"),
    sql="fct_net_taker_volume_cvd.sql",
    description="The net so far of a day continues that of the day before, and means are of days without a gap.",
    rules=(
        *_CUMULATIVE,
        *(
            Between(
                f"mean_{days}d_{unit}_error",
                0,
                ROUNDING,
                f"a mean of {days} days is that of their nets, in {name}, or unknown",
                (f"mean_{days}d_net_taker_{unit}",),
            )
            for days in (7, 30)
            for unit, name in (("usd", "USD"), ("base", "base"))
        ),
    ),
)
