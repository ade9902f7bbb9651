"""How often a process looks for objects that refer to each other and to which nothing else refers.

Belongs here: that one setting of Python's, for every process that Taker starts. Does not: memory limits
(`orchestration.config`), or what an engine frees itself.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

# How many more young objects, and how many looks at those and at older ones, until the next look. By Python's own (700,
# 10, 10) everything is looked at again and again while dbt's manifest, Dagster's definitions and Great Expectations are
# loaded, two million objects that stay until the process ends: 13 % of the CPU of a small run. A process that goes on
# for days reaches these too, so nothing piles up there.
THRESHOLDS: Final = (50_000, 20, 10)


def look_seldom() -> None:
    """From now on, for the whole process. Called before what is large is imported."""
    gc.set_threshold(*THRESHOLDS)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Of what the block loads, and of what was there before, nothing is looked at: it stays until the process ends."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
