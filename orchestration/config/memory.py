"""How much memory DuckDB may take: TAKER_MEMORY_LIMIT, or a share of what this machine or container has.

Belongs here: reading the setting, and what the machine has. Does not: who is limited (`orchestration.warehouse`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?", re.IGNORECASE)
_MEBIBYTES: Final = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}
# With less, DuckDB cannot even load a month of trades.
LEAST_MEBIBYTES: Final = 512
# More than any machine has: a unit that was meant to be another one.
_MOST_MEBIBYTES: Final = 1024 * _MEBIBYTES["t"]
# The limit without a setting: a quarter of the memory, since Dagster, dbt and others share the machine; at least this.
_DEFAULT_SHARE: Final = 4
_LEAST_DEFAULT: Final = 1024
# Nor more than this for each core, each of which sorts and joins by itself: the first build of 100 markets on two cores
# takes as long with 3 GiB as with 6. With 2.5 GiB all processes together take some 4 GB: dbt needs 0.6 GB besides, the
# process that waits for it 0.5 to 0.7 GB, and that of Great Expectations 0.2 GB.
_MOST_PER_CORE: Final = 1280
# Limits of a container: version 2 of control groups, then version 1.
_CONTAINER_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def mebibytes(text: str) -> int:
    """A size such as `4GB`, `512MiB` or `1.5 GB` in MiB; K, M, G and T count in powers of 1024. ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] is None:
        raise ValueError(f"`{text}` is no size; write a number with its unit, such as 4GB or 768MB")
    size = int(float(found[1]) * _MEBIBYTES[found[2][0].lower()])
    if size < LEAST_MEBIBYTES:
        raise ValueError(f"{text} is too little to build with; write at least {LEAST_MEBIBYTES}MB")
    if size > _MOST_MEBIBYTES:
        raise ValueError(f"{text} is more than any machine has; write what DuckDB may take of this one, such as 4GB")
    return size


def default_mebibytes(
    machine: Callable[[], int] = lambda: os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    limits: Iterable[Path] = _CONTAINER_LIMITS,
    cores: int | None = None,
) -> int:
    """A quarter of the memory of the machine, or of the container where it has less, and no more than 1.25 GiB a core;
    at least 1 GiB."""
    found = [machine()]
    for limit in limits:
        try:
            found.append(int(limit.read_text()))
        except (OSError, ValueError):  # there is none, or `max`
            continue
    most = (cores or os.cpu_count() or 1) * _MOST_PER_CORE
    return max(_LEAST_DEFAULT, min(min(found) // (1024 * 1024) // _DEFAULT_SHARE, most))
