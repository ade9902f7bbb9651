"""What may go wrong in verdicts on claims."""

from __future__ import annotations

from tests.orchestration.audit.corruption import (
    CLAIMS,
    FALSE_CLAIM,
    RANKED_MARKET,
    RANKS,
    TRUE_CLAIM,
    Corruption,
    update,
)

CORRUPTIONS = [
    Corruption(CLAIMS, "claim_id, definition_id", f"insert into {CLAIMS} select * from {CLAIMS} where {TRUE_CLAIM}"),
    Corruption(CLAIMS, "is_claimed", "delete from dim_claims where claim_id = 'true'"),
    Corruption(CLAIMS, "is_answered", f"delete from {CLAIMS} where {TRUE_CLAIM}"),
    update(CLAIMS, "dim_claims", "claim_id = 'true'", "is_claim_unchanged", "claimed_rank = 2"),
    update(CLAIMS, "dim_claims", "claim_id = 'true'", "is_claim_unchanged", "side = 'bullish'"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_as_of_due", "as_of_at = as_of_at - interval 1 hour"),
    update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_as_of_due", "as_of_at = as_of_at + interval 1 day"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_bar_of_claim", "bar_at = bar_at - interval 1 day"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_bar_of_claim", "value = value + 1"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "window_bars_difference", "window_bars = window_bars + 1"),
    update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_rank_right", "actual_rank = actual_rank + 1"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_event_rank_right", "actual_event_rank = 5"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_verdict_right", "holds = false"),
    update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_verdict_right", "holds = true"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "holds_by", "holds_by = 'luck'"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_reason_given", "holds_by = null"),
    update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_reason_given", "holds_by = 'bars'"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "coverage_ratio", "coverage_ratio = 1.5"),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_verdict_covered", "coverage_ratio = 0.9"),
    update(CLAIMS, CLAIMS, "claim_id = 'early'", "is_verdict_covered", "holds = false"),
    update(CLAIMS, RANKS, RANKED_MARKET, "is_verdict_of_one_set", "set_changed_at = bar_at"),
    update(CLAIMS, RANKS, RANKED_MARKET, "is_provision_stated", "is_provisional = true"),
    update(
        CLAIMS,
        CLAIMS,
        TRUE_CLAIM,
        "is_provision_stated",
        "verdict_sentence = 'Holds under daily_usd; the bar is provisional'",
    ),
    update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_sentence_right", "verdict_sentence = 'Holds under daily_base.'"),
    update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_sentence_right", "verdict_sentence = 'Holds under daily_usd.'"),
]
