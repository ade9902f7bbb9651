"""What the published marts are: the one place that decides it, for every reader and every target.

Belongs here: the file or the lake that readers read. Does not: opening it (`orchestration.serving.published`), writing
it (`orchestration.warehouse.publish`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from orchestration.config.dbt import LAKE, DbtConfig

# What TAKER_READ_FROM may be: what the target published, or what this machine published last itself.
TARGET: Final = "target"
MACHINE: Final = "machine"


class NoHistory(Exception):
    """Nothing is known of what was published at that time. The text states since when something is, or what to do."""


@dataclass(frozen=True)
class LakeMarts:
    """What the team's lake of these settings has published: now, or as of the time `at`, in UTC."""

    dbt: DbtConfig
    at: datetime | None = None

    @property
    def own_file(self) -> Path:
        """What this machine published last itself. Another machine may have published since."""
        return self.dbt.paths.serving


# A file of this machine, or the lake.
Marts = Path | LakeMarts


def published_marts(dbt: DbtConfig, *, read_from: str = TARGET, at: datetime | None = None) -> Marts:
    """What readers read: what the target published, or had published `at` a time; NoHistory where it keeps no history.

    A lake is read from every machine of the team as it is now. Where Spark builds, this machine publishes a file.
    """
    if dbt.target == LAKE and (at is not None or read_from == TARGET):
        return LakeMarts(dbt, at)
    if at is not None:
        raise NoHistory(
            f"TAKER_TARGET is {dbt.target}, and only the target `{LAKE}` keeps former publications; leave out --as-of"
        )
    return dbt.paths.serving
