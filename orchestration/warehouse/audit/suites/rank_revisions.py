"""The history of revised ranks: each revision follows from the one before, and the last one is true now.

It is no model of dbt's: `orchestration.warehouse.publish.revisions` judges it in the publication that is being built.
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Holds, Known, OneOf, UniqueKey

CAUSES: Final = ("corrected_file", "late_file", "withdrawn_file", "rules")

_OLD_AND_NEW: Final = ("old_value", "new_value", "old_rank", "new_rank", "old_event_rank", "new_event_rank")

HISTORY: Final = AuditSuite(
    name="fct_spike_rank_revisions",
    mart="fct_spike_rank_revisions",
    key=("definition_id", "market_id", "side", "bar_at", "published_at"),
    sql="fct_spike_rank_revisions.sql",
    description="Each revision changes something, states why and when, follows from the last; the latest is true now.",
    rules=(
        UniqueKey(),
        OneOf("side", ("bearish", "bullish"), "a spike is bearish or bullish"),
        Known("old_value", "only what was published can be revised"),
        Holds("is_different", "a revision changes something", _OLD_AND_NEW),
        Holds("is_later", "a publication revises an earlier one", ("previous_published_at",)),
        Known("run_id", "the run that changed it is known"),
        OneOf("cause", CAUSES, "the cause is one of the known ones", ("source_keys",)),
        Holds("is_file_named", "the files behind a revision are named", ("cause", "source_keys")),
        Holds("is_chain_unbroken", "a revision begins with what was published last", _OLD_AND_NEW),
        Holds(
            "is_true_now",
            "the latest revision of a bar agrees with the marts",
            ("new_value", "value_now", "new_rank", "rank_now", "new_event_rank", "event_rank_now"),
        ),
    ),
)
