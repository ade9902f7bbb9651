"""Liquidations of hours, days and rolling days: sums, coverage, lower bounds, and what each is made of."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, Known, OneOf, Rule, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE

LIQUIDATION_SOURCES: Final = ("archive", "live", "mixed")

_USD: Final = ("long_usd", "short_usd", "total_usd", "largest_order_usd", "order_count", "unvalued_order_count")
_PROVENANCE: Final = ("coverage_ratio", "liquidation_source", "venue_set", "subscribed_symbol_count")


def _rules(span: str) -> tuple[Rule, ...]:
    """What holds in all three marts. `span`: what a row covers, for the sentences."""
    return (
        UniqueKey(),
        Zero("sum_residual", "longs + shorts = total, to the last digit", _USD),
        Between("smallest_amount", 0, None, "no amount is negative", _USD),
        Holds("is_absence_unknown", f"{span} without coverage is unknown, not zero", (*_USD, "coverage_ratio")),
        Holds("is_count_consistent", "no volume without a valued order", _USD),
        Holds("is_largest_within_total", "the largest order is part of the total", _USD),
        Between("coverage_ratio", 0, 1, "coverage is a share"),
        Known("coverage_ratio", "coverage is known"),
        Holds(
            "is_bound_honest", "only what was received and valued completely is no lower bound", (*_USD, *_PROVENANCE)
        ),
        Known("is_lower_bound", "lower bounds are labelled as such"),
        Holds(
            "is_conflict_flagged",
            "orders that other data contradict are named, uncovered, and their totals lower bounds",
            ("conflicting_order_count", "first_conflict", "is_lower_bound", "coverage_ratio"),
        ),
        OneOf("liquidation_source", LIQUIDATION_SOURCES, "the source is named", _PROVENANCE),
        Known("liquidation_source", "the source is known"),
        Holds("is_venue_set_right", "the venues behind a row are named, and simulated ones stay apart", _PROVENANCE),
        Holds("is_id_of_parts", "a row is of a market of its venue, or of ALL", ("venue",)),
        Between("subscribed_symbol_count", 0, None, "no number of symbols is negative", ("venue_set",)),
        Holds(
            "is_symbol_count_of_sum",
            "symbols are counted of sums with coverage, and of no market",
            ("subscribed_symbol_count", "coverage_ratio"),
        ),
    )


HOURLY: Final = AuditSuite(
    name="fct_liquidations_hourly",
    mart="fct_liquidations_hourly",
    key=("venue", "market_id", "bar_at"),
    sql="fct_liquidations.sql",
    description="Longs and shorts add up, an uncovered hour is unknown and not zero, totals state their coverage.",
    rules=(
        *_rules("an hour"),
        Holds("is_whole_hour", "hours begin at full hours"),
    ),
)

DAILY: Final = AuditSuite(
    name="fct_liquidations_daily",
    mart="fct_liquidations_daily",
    key=("venue", "market_id", "bar_date"),
    sql="fct_liquidations.sql",
    description="Longs and shorts add up, an uncovered day is unknown and not zero, totals state their coverage.",
    rules=(
        *_rules("a day"),
        Between(
            "conflicting_order_count", None, 0, "no order contradicts its market", ("first_conflict", *_USD), WARNING
        ),
        # Unlike flow, liquidations may be requested in pieces: a gap is a range not requested, and no number is wrong.
        Between("days_since_previous", None, 1, "no range of days was left out", (), WARNING),
    ),
)

ROLLING: Final = AuditSuite(
    name="fct_liquidations_rolling_24h",
    mart="fct_liquidations_rolling_24h",
    key=("venue", "market_id", "as_of_at"),
    sql="fct_liquidations.sql",
    description="The same for the 24 hours before each full hour.",
    rules=(
        *_rules("a rolling day"),
        Holds("is_whole_hour", "rolling days end at full hours"),
    ),
)

_PARTS: Final = ("long_usd_of_parts", "short_usd_of_parts", "order_count_of_parts")

HOURLY_WIDTHS: Final = AuditSuite(
    name="fct_liquidations_hourly_widths",
    mart="fct_liquidations_hourly",
    key=("venue", "bar_at"),
    sql="fct_liquidations_hourly_widths.sql",
    description="A venue's hour is the sum of its markets, and that of all venues the sum of the venues.",
    rules=(
        Zero("long_residual", "longs are those of the parts, to the last digit", ("long_usd", *_PARTS)),
        Zero("short_residual", "shorts are those of the parts, to the last digit", ("short_usd", *_PARTS)),
        Zero("count_residual", "orders are those of the parts", ("order_count", *_PARTS)),
        Zero("unvalued_residual", "unvalued orders are those of the parts", ("unvalued_order_count",)),
    ),
)

_DAY: Final = ("raw_rows", "long_usd", "short_usd", "order_count", "coverage_ratio")

DAILY_DAYS: Final = AuditSuite(
    name="fct_liquidations_daily_days",
    mart="fct_liquidations_daily",
    key=("market_id", "bar_date"),
    sql="fct_liquidations_daily_days.sql",
    description="Every requested or collected day is present, covered where a file is stored, the sum of its hours.",
    rules=(
        Holds("is_in_mart", "every day that was requested or collected has a row, also an absent one", _DAY),
        Holds("has_hours", "no day stands in the mart without hours", _DAY),
        Zero("long_difference", "a day's longs are those of its hours", _DAY),
        Zero("short_difference", "a day's shorts are those of its hours", _DAY),
        Zero("count_difference", "a day's orders are those of its hours", _DAY),
        Between("coverage_error", 0, DOUBLE, "stored days are covered and absent days are not", _DAY),
        Between("coverage_excess", 0, DOUBLE, "a day is covered no less than its hours", _DAY),
        Between("surplus_rows", 0, None, "a day has no more orders than raw rows", _DAY),
    ),
)

_WINDOW: Final = ("long_usd", "short_usd", "order_count", "largest_order_usd", "coverage_ratio")

ROLLING_WINDOWS: Final = AuditSuite(
    name="fct_liquidations_rolling_24h_windows",
    mart="fct_liquidations_rolling_24h",
    key=("market_id", "as_of_at"),
    sql="fct_liquidations_rolling_24h_windows.sql",
    description="The 24 hours to each full hour, and no other hour, make its rolling day.",
    rules=(
        Holds("has_hours", "no rolling day is made of nothing", _WINDOW),
        Zero("long_difference", "longs are those of the 24 hours", _WINDOW),
        Zero("short_difference", "shorts are those of the 24 hours", _WINDOW),
        Zero("count_difference", "orders are those of the 24 hours", _WINDOW),
        Holds("is_largest_right", "the largest order is that of the 24 hours", _WINDOW),
        Between("coverage_excess", 0, DOUBLE, "24 hours are covered no less than each of them", _WINDOW),
    ),
)
