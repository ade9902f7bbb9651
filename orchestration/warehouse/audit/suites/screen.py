"""Summaries of markets: the screen of their last days, and their hours of the week."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Between, Holds, UniqueKey
from orchestration.warehouse.audit.tolerances import DOUBLE, ROUNDING

SCREEN: Final = AuditSuite(
    name="rpt_market_screen",
    mart="rpt_market_screen",
    key=("market_id",),
    sql="rpt_market_screen.sql",
    description="Every market stands in the screen with its last complete day, and repeats the other marts' numbers.",
    rules=(
        UniqueKey(),
        Holds("is_in_screen", "every market with a complete day stands in the screen"),
        Holds("is_latest_day", "the day is the market's last that has ended and is covered", ("bar_date",)),
        Holds("is_flow_right", "the flow is the daily mart's", ("net_taker_usd", "volume_usd")),
        Holds("is_the_briefs", "what the brief states is the brief's", ("side", "open_interest_usd", "funding_rate")),
        Holds("is_percentile_right", "the percentile is dominance's"),
        Holds("is_rank_best", "no bar of the day has a better rank", ("best_rank", "best_rank_definition_id")),
        Holds("is_rank_of_its_bar", "the best rank is that of the bar that is named", ("best_rank", "best_rank_at")),
        Holds("is_score_right", "the z-score is that of the day in USD, on its side", ("robust_z", "side")),
        Holds("is_change_right", "the change of open interest is that mart's", ("open_interest_change_24h_base",)),
    ),
)

PROFILE: Final = AuditSuite(
    name="fct_hour_of_week_profile",
    mart="fct_hour_of_week_profile",
    key=("market_id", "hour_of_week"),
    sql="fct_hour_of_week_profile.sql",
    description="Every hour of the week has the means and medians of the complete hours of two years.",
    rules=(
        UniqueKey(),
        Holds("is_in_profile", "every market with complete hours has a profile"),
        Holds("has_hours", "an hour of the week has hours of the hourly mart"),
        Holds("is_hour_right", "hour of the week, weekday and hour of the day agree", ("weekday", "hour_of_day")),
        Holds("is_count_right", "the hours counted are the complete ones of two years", ("hour_count",)),
        *(
            Between(f"{column}_error", 0, tolerance, f"{what} is that of these hours", (column,))
            for column, tolerance, what in (
                ("mean_net_taker_usd", ROUNDING, "the mean net"),
                ("median_net_taker_usd", ROUNDING, "the median net"),
                ("mean_volume_usd", ROUNDING, "the mean volume"),
                ("net_taker_ratio", DOUBLE, "the ratio of net to volume"),
                ("bought_ratio", DOUBLE, "the share of hours in which takers bought"),
                ("mean_return", DOUBLE, "the mean return"),
                ("median_return", DOUBLE, "the median return"),
            )
        ),
    ),
)
