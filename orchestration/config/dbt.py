"""What dbt needs to know of this installation.

Belongs here: the values that become dbt's profile, variables and folders. Does not: starting dbt
(`orchestration.warehouse.dbt`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ingestion.venues import simulated_venues
from orchestration.config.claims import own_claims
from orchestration.config.lake import LakeConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage

# The targets: the name of each is that of its output in the profile.
DUCKDB: Final = "duckdb"
SPARK: Final = "spark"
LAKE: Final = "lake"
# For callers without settings: a laptop has that much to spare.
_MEMORY: Final = 1024


@dataclass(frozen=True)
class DbtConfig:
    """`target`: the output of the profile. `kline_intervals` begin with the finest. `memory_mebibytes`: how much DuckDB
    takes before it writes to disk. `spark_conf`: the folder with `spark-defaults.conf`, for the target `spark`. `lake`:
    for the target `lake`, and None for the others."""

    paths: Paths
    storage: Storage
    target: str
    trades_dataset: str
    kline_intervals: tuple[str, ...]
    memory_mebibytes: int = _MEMORY
    spark_conf: Path | None = None
    lake: LakeConfig | None = None

    @property
    def is_spark(self) -> bool:
        return self.target == SPARK

    @property
    def memory_limit(self) -> str:
        """As DuckDB takes it."""
        return f"{self.memory_mebibytes}MiB"

    def variables(self) -> dict[str, Any]:
        """The values of `--vars`. SettingsError where `claims.csv` has a fault."""
        return {
            "raw_url": self.storage.raw_url,
            "trades_dataset": self.trades_dataset,
            "kline_intervals": list(self.kline_intervals),
            "simulated_venues": list(simulated_venues()),
            "own_claims": own_claims(self.paths.claims),
        }
