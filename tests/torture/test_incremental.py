"""Hundreds of random histories of bars, each built day by day and compared with a full refresh, row for row.

A history that fails prints its seed (`--torture-seed`), the events of its last step, and the rows that differ.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.dbt.warehouse import RawFolder, Warehouse
from tests.support.bar_histories import differing


def test_any_history_of_bars_ends_as_a_full_refresh_does(
    rng: random.Random, scaled: Callable[[int], int], tmp_path: Path
) -> None:
    empty = Warehouse(tmp_path / "empty", RawFolder(tmp_path / "zone").url)
    empty.build()
    for number in range(scaled(100)):
        seed = str(rng.randrange(1_000_000))
        for events in (0, 1, 4):
            found = differing(tmp_path / f"{number}_{events}", empty, seed, steps=4, events_per_step=events)
            assert not found, f"seed {seed}, {events} events a step\n{found}"
