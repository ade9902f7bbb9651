"""Claims: every verdict on a published claim, recomputed from the ranks."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Between, Holds, OneOf, UniqueKey, Zero

_RANKS: Final = ("bar_at", "value", "claimed_rank", "actual_rank", "actual_event_rank", "bar_rank", "rank_among_events")

CLAIMS: Final = AuditSuite(
    name="fct_claim_verdicts",
    mart="fct_claim_verdicts",
    key=("claim_id", "definition_id"),
    sql="fct_claim_verdicts.sql",
    description="Each claim is judged once under each definition, by ranks that count, only where the data suffice.",
    rules=(
        UniqueKey(),
        Holds("is_claimed", "a verdict belongs to a claim and a definition"),
        Holds("is_answered", "every claim is answered under every definition"),
        Holds("is_claim_unchanged", "the verdict is about the claim as it was made"),
        Holds("is_as_of_due", "ranks are as of the event's end or the day of the claim"),
        Holds("is_bar_of_claim", "the bar found is one of the claimed days, with its value", _RANKS),
        Zero("window_bars_difference", "the window holds the bars that it states"),
        Holds("is_rank_right", "rank = 1 + the bars of the window that are more extreme", _RANKS),
        Holds("is_event_rank_right", "event rank = 1 + the events of the window that are more extreme", _RANKS),
        Holds("is_verdict_right", "a claim holds when bar or event have the claimed rank", ("holds", *_RANKS)),
        OneOf("holds_by", ("bars", "events", "bars and events"), "a claim holds by bars, by events or by both"),
        Holds("is_reason_given", "what holds has a reason, and nothing else does", ("holds", "holds_by")),
        Between("coverage_ratio", 0, 1, "coverage is a share"),
        Holds("is_verdict_covered", "no verdict where the data cannot tell", ("holds", "coverage_ratio", *_RANKS)),
        Holds(
            "is_verdict_of_one_set", "no verdict on a sum whose markets changed inside the window", ("holds", *_RANKS)
        ),
        Holds("is_provision_stated", "the sentence states that a bar is provisional", ("verdict_sentence",)),
        Holds("is_sentence_right", "the sentence states the verdict and names the definition", ("verdict_sentence",)),
    ),
)
