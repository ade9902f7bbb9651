"""The daily brief: it repeats the other marts, number by number."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE

_LIQUIDATIONS: Final = ("long_liquidations_usd", "short_liquidations_usd", "liquidations_coverage_ratio")
_CONFLICTS: Final = ("open_interest_conflict", "funding_conflict", "liquidations_conflict")

BRIEF: Final = AuditSuite(
    name="rpt_market_brief_daily",
    mart="rpt_market_brief_daily",
    key=("market_id", "bar_date"),
    sql="rpt_market_brief_daily.sql",
    description="Each day's brief repeats the numbers of the other marts, and its headline states their source.",
    rules=(
        UniqueKey(),
        Holds("is_in_daily", "a brief is of a day of the daily mart"),
        Holds("is_in_brief", "every ended day of the daily mart has its brief"),
        Holds("is_of_ended_day", "a running day has no brief"),
        Holds("is_provision_stated", "the headline states that a day is provisional", ("headline",)),
        Zero("net_residual", "net taker volume is the daily mart's, to the last digit", ("net_taker_usd",)),
        Holds("is_side_right", "the side follows from the sign of the net", ("side", "net_taker_usd")),
        Between("sell_ratio_error", 0, DOUBLE, "the sell ratio is the daily mart's", ("taker_sell_ratio",)),
        Between("percentile_error", 0, DOUBLE, "the percentile is dominance's", ("sell_dominance_percentile",)),
        Holds("is_close_right", "the close is the daily mart's", ("close_price",)),
        Between("change_error", 0, DOUBLE, "change = close / the close of the day before - 1", ("price_change_ratio",)),
        Between("distance_from_high_ratio", -1, 0, "no close is above the high of the days to it", ("close_price",)),
        Holds("is_source_right", "source and coverage are the daily mart's"),
        Holds("are_ranks_right", "the ranks are the day's best on its side", ("side",)),
        Holds("are_liquidations_right", "liquidations are the liquidations mart's, with their coverage", _LIQUIDATIONS),
        Holds(
            "are_all_liquidations_right",
            "liquidations of all markets are the mart's, with venues and coverage",
            (
                "all_long_liquidations_usd",
                "all_short_liquidations_usd",
                "all_liquidations_coverage_ratio",
                "all_liquidations_venue_set",
                "all_liquidations_subscribed_symbol_count",
            ),
        ),
        Holds(
            "are_conflicts_excluded",
            "what other data contradict is not stated, and the headline names it",
            (*_CONFLICTS, "open_interest_usd", "funding_rate", "headline"),
        ),
        Holds(
            "are_gaps_explained",
            "a figure that is missing has its reason, and only such a figure",
            ("open_interest_usd", "funding_rate", "long_liquidations_usd", *_CONFLICTS),
        ),
        Holds(
            "is_open_interest_consistent",
            "open interest agrees with prices, volumes and its neighbours",
            ("open_interest_conflict",),
            WARNING,
        ),
        Holds("is_funding_consistent", "every funding is one that a venue charges", ("funding_conflict",), WARNING),
        Between("open_interest", 0, None, "open interest is not negative"),
        Between("open_interest_usd", 0, None, "open interest is not negative"),
        Between("funding_rate", -0.2, 0.2, "a day's funding is a small share, not a percentage", (), WARNING),
        Holds("is_simulation_known", "simulated markets, and only they, are labelled so"),
        Holds("is_headline_labelled", "the headline of a simulated market begins with SIMULATED", ("headline",)),
        Holds("is_headline_complete", "the headline names market, day, definition and source", ("headline",)),
    ),
)
