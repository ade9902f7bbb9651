"""What lies between the bars and the marts is replaced where it changed, and ends as a full refresh does."""

from __future__ import annotations

from pathlib import Path

from tests.dbt.warehouse import Warehouse
from tests.support.bar_histories import differing


def test_whatever_happens_to_the_bars_every_table_ends_as_a_full_refresh_makes_it(
    empty: Warehouse, tmp_path: Path
) -> None:
    """Corrections, late and withdrawn days, new markets, other sums and definitions, and a build that died.

    The long version draws hundreds of histories (`tests/torture/test_incremental.py`).
    """
    assert not differing(tmp_path, empty, seed="3", steps=2, events_per_step=0)
