"""Net taker volume of minutes: identities, and that the minutes of an hour are the hour.

Belongs here: the suites of `fct_net_taker_volume_minute`. Does not: hours and days (`net_taker_volume`).
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Between, Holds, Known, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE, ROUNDING

_USD: Final = ("taker_buy_usd", "taker_sell_usd", "net_taker_usd", "volume_usd")
_BASE: Final = ("taker_buy_base", "taker_sell_base", "net_taker_base", "volume_base")
_PRICES: Final = ("open_price", "high_price", "low_price", "close_price")
_VOLUMES: Final = ("hourly_volume_usd", "minutes_volume_usd", "minute_count")

MINUTES: Final = AuditSuite(
    name="fct_net_taker_volume_minute",
    mart="fct_net_taker_volume_minute",
    key=("market_id", "bar_at"),
    sql="fct_net_taker_volume_minute.sql",
    description="Every minute adds up, and keeps its prices in order.",
    rules=(
        UniqueKey(),
        Holds("is_begin_right", "a bar begins on the minute, in its 5 and its 15 minutes", ("fifteen_minutes_at",)),
        Holds("is_venue_of_market", "the venue is the market's", ("venue",)),
        Zero("usd_sum_residual", "taker buy + taker sell = volume, in USD, to the last digit", _USD),
        Zero("base_sum_residual", "taker buy + taker sell = volume, in base, to the last digit", _BASE),
        Zero("usd_net_residual", "net = taker buy - taker sell, in USD, to the last digit", _USD),
        Zero("base_net_residual", "net = taker buy - taker sell, in base, to the last digit", _BASE),
        Between("smallest_amount", 0, None, "no side is negative", (*_USD, *_BASE)),
        Between("net_ratio_error", 0, DOUBLE, "net ratio = net / volume", ("net_taker_ratio", *_USD)),
        Between("trade_count", 1, None, "a minute with a row has a trade"),
        Known("trade_count", "the number of trades is known"),
        Holds("is_price_in_order", "the minute has positive prices in order", _PRICES),
    ),
    follows_changes=True,
)

MINUTE_HOURS: Final = AuditSuite(
    name="fct_net_taker_volume_minute_hours",
    mart="fct_net_taker_volume_minute",
    key=("market_id", "bar_at"),
    sql="fct_net_taker_volume_minute_hours.sql",
    description="The minutes of an hour are the hour, and no hour of trades lacks them.",
    rules=(
        Holds("is_in_hourly", "minutes are those of an hour that is taken from trades", ("minute_count",)),
        Holds("is_in_minutes", "an hour that is taken from trades has its minutes", ("hourly_volume_usd",)),
        Between("usd_difference", 0, ROUNDING, "an hour is the sum of its minutes, in USD, on each side", _VOLUMES),
        Between("base_difference", 0, ROUNDING, "an hour is the sum of its minutes, in base, on each side", _VOLUMES),
        Zero("trade_count_difference", "an hour counts its minutes' trades", ("hourly_trade_count",)),
        Holds("is_price_right", "an hour's prices are those of its minutes"),
        Holds("is_state_right", "a minute has the coverage and quality of its hour"),
    ),
    follows_changes=True,
)
