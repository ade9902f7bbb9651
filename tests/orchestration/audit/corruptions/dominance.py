"""What may go wrong in dominance."""

from __future__ import annotations

from tests.orchestration.audit.corruption import DAILY, DOMINANCE, ONE_DAY, RANKED_BAR, RANKS, Corruption, update

CORRUPTIONS = [
    Corruption(DOMINANCE, "market_id, bar_date", f"insert into {DOMINANCE} select * from {DOMINANCE} where {ONE_DAY}"),
    Corruption(DOMINANCE, "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(DOMINANCE, "is_in_dominance", f"delete from {DOMINANCE} where {ONE_DAY}"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "taker_sell_ratio", "taker_sell_ratio = -0.1"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "sell_ratio_error", "taker_sell_ratio = 0.5"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "sell_dominance_percentile", "sell_dominance_percentile = 1.2"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "buy_dominance_percentile", "buy_dominance_percentile = 1.2"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "less_sold_fraction", "sell_dominance_percentile = 0.12345"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "more_sold_fraction", "buy_dominance_percentile = 0.12345"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "tied_days", "sell_dominance_percentile = 1, buy_dominance_percentile = 1"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "window_bars", "window_bars = 0"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "days_outside_window", "window_bars = 11"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "coverage_ratio", "coverage_ratio = 1.1"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "coverage_ratio = 0.9"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "buy_dominance_percentile = 'nan'::double"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "sell_dominance_percentile = null"),
    update(DOMINANCE, DAILY, ONE_DAY, "is_percentile_due", "is_running = true"),
    update(DOMINANCE, RANKS, RANKED_BAR, "is_percentile_due", "set_changed_at = timestamp '2024-03-12'"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_reason_stated", "unranked_reason = 'running'"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_reason_stated", "sell_dominance_percentile = null"),
    update(DOMINANCE, DOMINANCE, ONE_DAY, "is_state_right", "is_provisional = true"),
]
