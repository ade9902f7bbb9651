"""The memory of columns: the pool that Arrow takes it from, and columns as numpy arrays over the same bytes.

Belongs here: whole numbers from Arrow to numpy and back without a copy, and which pool is used. Does not: what is
computed with them.

The first call of pyarrow's own `to_numpy`, `pa.array` or `pa.scalar` imports pandas, which costs as much as to decode
a million rows. So the steps that every good file takes use these functions, and compare with Python's numbers.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa

_CHOSEN_BY_HAND: Final = "ARROW_DEFAULT_MEMORY_POOL"


@cache
def use_fast_pool() -> None:
    """Take Arrow's memory from jemalloc, where pyarrow has it. Its default, mimalloc, costs a third more CPU until its
    pages are warm, and more memory. A pool that the environment names stays."""
    if _CHOSEN_BY_HAND not in os.environ:
        with contextlib.suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def integers(values: Any) -> Any:
    """A column of 64-bit integers or times, none of them missing, as a numpy array that must not be written to. The
    memory of a column in one piece is not copied."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    pieces = [
        np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), chunk.offset * 8) for chunk in chunks if len(chunk)
    ]
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def column_of(values: Any, wanted: pa.DataType) -> pa.Array:
    """The column of type `wanted` over the memory of a numpy array of its words; one row of it is one value."""
    return pa.Array.from_buffers(wanted, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
