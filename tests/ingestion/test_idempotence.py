"""Promise 1, the short proof: whatever happens to an archive and to its ingestion, the raw zone ends the same."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.support.histories import Histories

# Without shrinking, which takes minutes: tests/torture/test_idempotence.py shrinks.
TestAnyHistoryEndsAsAFreshIngestionDoes = Histories.TestCase
TestAnyHistoryEndsAsAFreshIngestionDoes.settings = settings(
    max_examples=8,
    stateful_step_count=6,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
