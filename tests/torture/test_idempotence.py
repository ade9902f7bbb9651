"""Promise 1, the long proof: hundreds of histories of an archive, drawn anew each time.

A history that fails is shrunk and printed as a program; `--hypothesis-seed` repeats the search.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.histories import Histories


def test_any_history_ends_as_a_fresh_ingestion_does(scaled: Callable[[int], int]) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=scaled(500),
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
