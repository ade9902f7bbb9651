"""What may go wrong in the daily brief."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.corruption import BRIEF, DAILY, ONE_BRIEF, ONE_DAY, Corruption, update

NAMED = "headline = headline || '. In conflict with other data and not used: something.'"

CORRUPTIONS = [
    Corruption(BRIEF, "market_id, bar_date", f"insert into {BRIEF} select * from {BRIEF} where {ONE_BRIEF}"),
    Corruption(BRIEF, "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(BRIEF, "is_in_brief", f"delete from {BRIEF} where {ONE_BRIEF}"),
    Corruption(
        BRIEF,
        "is_in_brief",
        f"delete from {BRIEF} where {ONE_BRIEF}; update {DAILY} set is_running = null",
    ),
    update(BRIEF, DAILY, ONE_DAY, "is_of_ended_day", "is_running = true"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_provision_stated", "headline = headline || ' (from klines, provisional)'"),
    update(BRIEF, DAILY, ONE_DAY, "is_provision_stated", "is_provisional = true"),
    update(BRIEF, DAILY, ONE_DAY, "is_provision_stated", "is_provisional = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "net_residual", "net_taker_usd = net_taker_usd + 0.00000001"),
    update(
        BRIEF, BRIEF, ONE_BRIEF, "is_side_right", "side = case side when 'bearish' then 'bullish' else 'bearish' end"
    ),
    update(BRIEF, BRIEF, ONE_BRIEF, "sell_ratio_error", "taker_sell_ratio = 0.1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "percentile_error", "sell_dominance_percentile = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_close_right", "close_price = close_price + 1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "change_error", "price_change_ratio = price_change_ratio * 100 + 1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "distance_from_high_ratio", "distance_from_high_ratio = 0.01"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_source_right", "flow_source = 'trades'"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_ranks_right", "daily_usd_rank = daily_usd_rank + 1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_ranks_right", "hourly_usd_rank = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_ranks_right", "hourly_ma7_usd_rank = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_liquidations_right", "long_liquidations_usd = 0"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_long_liquidations_usd = 0"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_liquidations_venue_set = 'okx'"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_liquidations_subscribed_symbol_count = 9"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_conflicts_excluded", f"open_interest_conflict = 'one', {NAMED}"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_conflicts_excluded", f"funding_conflict = 'one', {NAMED}"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_conflicts_excluded", f"liquidations_conflict = 'one', {NAMED}"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_conflicts_excluded", "funding_conflict = 'one', funding_rate = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_conflicts_excluded", NAMED),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_gaps_explained", "funding_rate = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_gaps_explained", "open_interest_missing_reason = 'incomplete'"),
    update(BRIEF, BRIEF, ONE_BRIEF, "are_gaps_explained", "funding_rate = null, funding_missing_reason = 'conflict'"),
    update(
        BRIEF,
        BRIEF,
        ONE_BRIEF,
        "is_open_interest_consistent",
        f"""open_interest_conflict = 'one', open_interest = null, open_interest_usd = null,
            open_interest_missing_reason = 'conflict', {NAMED}""",
        WARNING,
    ),
    update(
        BRIEF,
        BRIEF,
        ONE_BRIEF,
        "is_funding_consistent",
        f"funding_conflict = 'one', funding_rate = null, funding_missing_reason = 'conflict', {NAMED}",
        WARNING,
    ),
    update(BRIEF, BRIEF, ONE_BRIEF, "open_interest", "open_interest = -1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "open_interest_usd", "open_interest_usd = -1"),
    update(BRIEF, BRIEF, ONE_BRIEF, "funding_rate", "funding_rate = 0.3", WARNING),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_simulation_known", "is_simulated = null"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_labelled", "headline = 'SIMULATED: ' || headline"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_labelled", "is_simulated = true"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_complete", "headline = replace(headline, 'daily_usd', '')"),
    update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_complete", "headline = null"),
]
