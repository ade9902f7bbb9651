"""What may go wrong in spike ranks."""

from __future__ import annotations

from tests.orchestration.audit.corruption import ONE_EVENT, RANKED_BAR, RANKS, Corruption, update

CORRUPTIONS = [
    Corruption(
        RANKS, "definition_id, market_id, side, bar_at", f"insert into {RANKS} select * from {RANKS} where {RANKED_BAR}"
    ),
    update(RANKS, RANKS, RANKED_BAR, "is_defined", "definition_id = 'invented'"),
    update(RANKS, RANKS, RANKED_BAR, "side", "side = 'up'"),
    update(RANKS, RANKS, RANKED_BAR, "is_quality_stated", "flow_quality = 'contradicted'"),
    update(RANKS, RANKS, RANKED_BAR, "is_rank_of_ended", "is_running = true, is_provisional = true"),
    update(RANKS, RANKS, RANKED_BAR, "is_rank_of_one_set", "set_changed_at = timestamp '2024-03-12'"),
    update(RANKS, RANKS, RANKED_BAR, "is_running_provisional", "is_running = true"),
    update(RANKS, RANKS, RANKED_BAR, "is_change_of_sum", "set_changed_at = timestamp '2000-01-01'"),
    update(RANKS, "spike_definitions", "definition_id = 'daily_usd'", "is_of_its_venue", "venue = 'okx'"),
    update(RANKS, RANKS, RANKED_BAR, "is_venue_set_named", "venue_set = 'binance_um,bybit'"),
    Corruption(RANKS, "bar_sides", f"delete from {RANKS} where {RANKED_BAR}"),
    update(RANKS, RANKS, RANKED_BAR, "percentile", "percentile = -0.1"),
    update(RANKS, RANKS, RANKED_BAR, "percentile_error", "percentile = 1 - percentile + 0.1"),
    update(RANKS, RANKS, RANKED_BAR, "percentile_error", "percentile = null"),
    update(RANKS, RANKS, RANKED_BAR, "tied_bars", "spike_rank = window_bars + 1"),
    update(RANKS, RANKS, RANKED_BAR, "spike_rank", "spike_rank = 0"),
    update(RANKS, RANKS, RANKED_BAR, "window_bars", "window_bars = 0"),
    update(RANKS, RANKS, RANKED_BAR, "window_size_bars, window_bars", "window_bars = 11"),
    update(RANKS, RANKS, RANKED_BAR, "coverage_ratio", "coverage_ratio = 1.1"),
    update(RANKS, RANKS, RANKED_BAR, "is_rank_covered", "coverage_ratio = 0.94"),
    update(RANKS, RANKS, RANKED_BAR, "is_rank_covered", "bar_coverage_ratio = 0.94"),
    update(RANKS, RANKS, RANKED_BAR, "bar_coverage_ratio", "bar_coverage_ratio = 1.1"),
    update(RANKS, RANKS, RANKED_BAR, "bar_coverage_ratio", "bar_coverage_ratio = null"),
    update(RANKS, RANKS, RANKED_BAR, "is_rank_given", "spike_rank = null"),
    update(RANKS, RANKS, RANKED_BAR, "is_reason_right", "unranked_reason = 'window_not_covered'"),
    update(RANKS, RANKS, RANKED_BAR, "is_reason_right", "spike_rank = null"),
    update(RANKS, RANKS, "spike_rank is null", "is_reason_right", "unranked_reason = 'running'"),
    update(RANKS, RANKS, "spike_rank is null", "is_reason_right", "unranked_reason = 'invented'"),
    update(RANKS, RANKS, ONE_EVENT, "is_event_ranked", "is_event = false"),
    update(RANKS, RANKS, ONE_EVENT, "is_event_ranked", "event_rank = null"),
    update(RANKS, RANKS, "bar_at >= timestamp '2024-03-22'", "is_event_ripe", "is_event = false"),
    update(RANKS, RANKS, ONE_EVENT, "event_rank", "event_rank = 0"),
    update(RANKS, RANKS, ONE_EVENT, "spike_rank, event_rank", "event_rank = spike_rank + 1"),
    Corruption(f"{RANKS}_definitions", "days_behind", f"delete from {RANKS} where definition_id = 'hourly_ma7_usd'"),
    Corruption(
        f"{RANKS}_definitions",
        "days_behind",
        f"delete from {RANKS} where definition_id = '4h_usd' and bar_at >= timestamp '2024-03-22'",
    ),
    Corruption(
        f"{RANKS}_definitions", "days_without_rank", f"delete from {RANKS} where {RANKED_BAR.rsplit(' and ', 1)[0]}"
    ),
    update(f"{RANKS}_definitions", RANKS, RANKED_BAR, "largest_value_difference", "value = value + 1"),
]
