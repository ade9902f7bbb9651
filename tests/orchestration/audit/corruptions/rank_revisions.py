"""What may go wrong in the history of revised ranks."""

from __future__ import annotations

from tests.orchestration.audit.corruption import FIRST_REVISION, HISTORY, LAST_REVISION, Corruption, update

CORRUPTIONS = [
    Corruption(
        HISTORY,
        "definition_id, market_id, side, bar_at, published_at",
        f"insert into {HISTORY} select * from {HISTORY} where {FIRST_REVISION}",
    ),
    update(HISTORY, HISTORY, FIRST_REVISION, "side", "side = 'up'"),
    update(HISTORY, HISTORY, FIRST_REVISION, "old_value", "old_value = null"),
    update(HISTORY, HISTORY, FIRST_REVISION, "is_different", "old_value = new_value, old_rank = new_rank"),
    update(HISTORY, HISTORY, FIRST_REVISION, "is_later", "previous_published_at = published_at"),
    update(HISTORY, HISTORY, FIRST_REVISION, "run_id", "run_id = null"),
    update(HISTORY, HISTORY, FIRST_REVISION, "cause", "cause = 'weather'"),
    update(HISTORY, HISTORY, FIRST_REVISION, "is_file_named", "source_keys = null"),
    update(HISTORY, HISTORY, FIRST_REVISION, "is_file_named", "cause = null"),
    update(HISTORY, HISTORY, LAST_REVISION, "is_file_named", "source_keys = 'a.zip'"),
    update(HISTORY, HISTORY, FIRST_REVISION, "is_chain_unbroken", "new_rank = new_rank + 1"),
    update(HISTORY, HISTORY, LAST_REVISION, "is_true_now", "new_rank = new_rank + 1"),
    update(HISTORY, HISTORY, LAST_REVISION, "is_true_now", "new_value = new_value + 1"),
]
