"""What may go wrong in the event study."""

from __future__ import annotations

from tests.orchestration.audit.corruption import (
    CONTEXT,
    ONE_EVENT,
    ONE_RETURN,
    ONE_STUDY,
    OPEN_RETURN,
    RANKS,
    RETURNS,
    STUDY,
    Corruption,
    update,
)

# An event with open interest, fundings and some liquidations around it.
ONE_CONTEXT = f"""(definition_id, market_id, side, event_at, horizon_hours) = (
    select (definition_id, market_id, side, event_at, horizon_hours) from {CONTEXT}
    where definition_id = '4h_usd' and horizon_hours = 24 and liquidations_coverage_ratio > 0
        and open_interest_change_base is not null
    order by market_id, side, event_at limit 1)"""

CORRUPTIONS = [
    Corruption(
        CONTEXT,
        "definition_id, market_id, side, event_at, horizon_hours",
        f"insert into {CONTEXT} select * from {CONTEXT} where {ONE_CONTEXT}",
    ),
    update(CONTEXT, RANKS, ONE_EVENT, "is_event", "event_rank = 21"),
    Corruption(CONTEXT, "is_followed", f"delete from {CONTEXT} where {ONE_CONTEXT}"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "is_event_unchanged", "value = value - 1"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "is_window_right", "to_at = to_at + interval 1 hour"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "is_window_right", "from_at = event_at"),
    update(
        CONTEXT, CONTEXT, ONE_CONTEXT, "change_residual", "open_interest_change_base = open_interest_change_base + 1"
    ),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "change_residual", "open_interest_change_base = null"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "change_error", "open_interest_change_ratio = 0.5"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "funding_coverage_ratio", "funding_coverage_ratio = 1.5"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "funding_residual", "funding_rate = funding_rate + 0.0001"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "funding_residual", "funding_coverage_ratio = 0"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "liquidations_residual", "long_liquidations_usd = 1 + long_liquidations_usd"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "liquidations_residual", "short_liquidations_usd = null"),
    update(CONTEXT, CONTEXT, ONE_CONTEXT, "coverage_error", "liquidations_coverage_ratio = 1"),
    update(
        CONTEXT, CONTEXT, ONE_CONTEXT, "is_bound_honest", "is_lower_bound = false, liquidations_coverage_ratio = 0.9"
    ),
    Corruption(
        RETURNS,
        "definition_id, market_id, side, event_at, horizon_days",
        f"insert into {RETURNS} select * from {RETURNS} where {ONE_RETURN}",
    ),
    update(RETURNS, RANKS, ONE_EVENT, "is_event", "event_rank = 21"),
    Corruption(RETURNS, "is_followed", f"delete from {RETURNS} where {ONE_RETURN}"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_event_unchanged", "value = value - 1"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_event_unchanged", "event_rank = event_rank + 1"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_entry_next_bar", "entry_at = event_at"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_exit_due", "exit_at = exit_at + interval 1 day"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_known_late_enough", "known_at = entry_at"),
    update(RETURNS, RETURNS, ONE_RETURN, "entry_price", "entry_price = 0"),
    update(RETURNS, RETURNS, ONE_RETURN, "exit_price", "exit_price = -1"),
    update(RETURNS, RETURNS, ONE_RETURN, "return_error", "forward_return = -forward_return - 0.001"),
    update(RETURNS, RETURNS, ONE_RETURN, "return_error", "forward_return = null"),
    update(RETURNS, RETURNS, ONE_RETURN, "is_completeness_right", "is_complete = false"),
    update(RETURNS, RETURNS, OPEN_RETURN, "is_completeness_right", "is_complete = true"),
    update(RETURNS, RETURNS, ONE_RETURN, "max_adverse_excursion", "max_adverse_excursion = 0.01"),
    update(RETURNS, RETURNS, ONE_RETURN, "max_favourable_excursion", "max_favourable_excursion = -0.01"),
    update(RETURNS, RETURNS, OPEN_RETURN, "is_excursion_due", "max_adverse_excursion = -0.01"),
    Corruption(
        STUDY,
        "definition_id, market_id, side, horizon_days",
        f"insert into {STUDY} select * from {STUDY} where {ONE_STUDY}",
    ),
    Corruption(STUDY, "is_due", f"delete from {RANKS} where definition_id = '4h_usd'"),
    Corruption(STUDY, "is_studied", f"delete from {STUDY} where {ONE_STUDY}"),
    update(STUDY, STUDY, ONE_STUDY, "sample_size_difference", "sample_size = sample_size + 1"),
    update(STUDY, STUDY, ONE_STUDY, "sample_size_when_known_difference", "sample_size_when_known = 0"),
    update(STUDY, STUDY, ONE_STUDY, "hit_rate_error", "hit_rate = hit_rate - 0.01"),
    update(STUDY, STUDY, ONE_STUDY, "median_error", "median_return = 1"),
    update(STUDY, STUDY, ONE_STUDY, "mean_error", "mean_return = null"),
    update(STUDY, STUDY, ONE_STUDY, "mean_when_known_error", "mean_return_when_known = 0"),
    update(STUDY, STUDY, ONE_STUDY, "is_block_count_possible", "block_count = sample_size + 1"),
    update(STUDY, STUDY, ONE_STUDY, "is_block_count_possible", "block_count = 0"),
    update(STUDY, STUDY, ONE_STUDY, "baseline_hit_rate", "baseline_hit_rate = 55"),
    update(STUDY, STUDY, ONE_STUDY, "p_value", "p_value = 0"),
    update(STUDY, STUDY, ONE_STUDY, "p_value_when_known", "p_value_when_known = 1.1"),
    update(STUDY, STUDY, "horizon_days = 30", "is_refusal_due", "is_conclusive = true"),
    update(STUDY, STUDY, "horizon_days = 30", "is_p_value_due", "p_value = 0.01"),
    update(STUDY, STUDY, "horizon_days = 30", "is_conclusion_right", "conclusion = 'Buy.'"),
    update(STUDY, STUDY, "horizon_days = 30", "is_conclusion_right", "conclusion = null"),
]
