"""What may go wrong in the summaries of markets."""

from __future__ import annotations

from tests.orchestration.audit.corruption import LINEAR, PROFILE, SCREEN, Corruption, update

ONE_MARKET = f"market_id = '{LINEAR}'"
ONE_HOUR = f"market_id = '{LINEAR}' and hour_of_week = 100"

CORRUPTIONS = [
    Corruption(SCREEN, "market_id", f"insert into {SCREEN} select * from {SCREEN} where {ONE_MARKET}"),
    Corruption(SCREEN, "is_in_screen", f"delete from {SCREEN} where {ONE_MARKET}"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_latest_day", "bar_date = bar_date - 1"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_flow_right", "net_taker_usd = -net_taker_usd"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_flow_right", "coverage_ratio = 0.5"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_the_briefs", "funding_rate = null"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_the_briefs", "liquidations_coverage_ratio = 0.7"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_percentile_right", "buy_dominance_percentile = 0.123"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_rank_best", "best_rank = best_rank + 1"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_rank_of_its_bar", "best_rank_definition_id = 'daily_base'"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_rank_of_its_bar", "best_rank_at = best_rank_at - interval 1 day"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_score_right", "robust_z = 5"),
    update(SCREEN, SCREEN, ONE_MARKET, "is_change_right", "open_interest_change_24h_ratio = 0.5"),
    Corruption(PROFILE, "market_id, hour_of_week", f"insert into {PROFILE} select * from {PROFILE} where {ONE_HOUR}"),
    Corruption(PROFILE, "is_in_profile", f"delete from {PROFILE} where {ONE_HOUR}"),
    update(PROFILE, PROFILE, ONE_HOUR, "has_hours", "hour_of_week = 168"),
    update(PROFILE, PROFILE, ONE_HOUR, "is_hour_right", "weekday = weekday + 1"),
    update(PROFILE, PROFILE, ONE_HOUR, "is_hour_right", "weekday_name = 'Someday'"),
    update(PROFILE, PROFILE, ONE_HOUR, "is_count_right", "hour_count = hour_count + 1"),
    update(PROFILE, PROFILE, ONE_HOUR, "is_count_right", "first_at = first_at - interval 7 day"),
    *(
        update(PROFILE, PROFILE, ONE_HOUR, f"{column}_error", f"{column} = {column} + 1")
        for column in (
            "mean_net_taker_usd",
            "median_net_taker_usd",
            "mean_volume_usd",
            "net_taker_ratio",
            "bought_ratio",
            "mean_return",
            "median_return",
        )
    ),
]
