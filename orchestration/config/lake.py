"""The team's lake as the settings state it.

Belongs here: where its catalog and its files are, and for how long former publications stay. Does not: opening it
(`orchestration.warehouse.lake`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import SecretStr

# Of a publication that was replaced: long enough to ask what was published last week.
HISTORY_DAYS: Final = 7


@dataclass(frozen=True)
class LakeConfig:
    """`catalog_url`: the PostgreSQL database of the catalog. `data_url`: the folder, or `s3://bucket/prefix`, that the
    Parquet files lie in. `history_days`: for how many days `--as-of` finds a publication that was replaced."""

    catalog_url: SecretStr
    data_url: str
    history_days: int = HISTORY_DAYS
