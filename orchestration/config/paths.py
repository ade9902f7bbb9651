"""Where the files of the state folder are.

Belongs here: the layout below TAKER_STATE_DIR. Does not: creating or opening any of these files, or the raw zone
(`orchestration.config.storage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Below DAGSTER_HOME.
FINDINGS: Final = "history/findings.parquet"


@dataclass(frozen=True)
class Paths:
    """The local files of one installation; `state` is their root folder, absolute."""

    state: Path

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only dbt writes."""
        return self.state / "warehouse.duckdb"

    @property
    def spill(self) -> Path:
        """Where DuckDB writes what does not fit into its memory; swept before each build."""
        return self.state / "warehouse.duckdb.tmp"

    @property
    def serving(self) -> Path:
        """The published DuckDB file, which people and tools read."""
        return self.state / "serving" / "marts.duckdb"

    @property
    def spool(self) -> Path:
        """Received messages that are not sealed into the raw zone yet."""
        return self.state / "spool"

    @property
    def claims(self) -> Path:
        """Claims of one's own, judged with those of the project; only people write it."""
        return self.state / "claims.csv"

    @property
    def choices(self) -> Path:
        """Which markets the patterns of TAKER_MARKETS stand for, since when, and by which volumes."""
        return self.state / "markets.json"

    @property
    def bans(self) -> Path:
        """Which venues have banned or rate limited this address, and until when."""
        return self.state / "refusals.json"

    @property
    def alerts(self) -> Path:
        """The outbox: which alerts were found, and whether they were delivered."""
        return self.state / "alerts" / "outbox.sqlite"

    @property
    def dagster_home(self) -> Path:
        return self.state / "dagster"

    @property
    def findings(self) -> Path:
        """What runs found of each object of the archives, for the next one. It speaks of what Dagster's history beside
        it records: without that, everything is compared and recorded anew."""
        return self.dagster_home / FINDINGS

    @property
    def dbt(self) -> Path:
        """The generated profile, dbt's artefacts and DuckDB's extensions."""
        return self.state / "dbt"

    @property
    def spark(self) -> Path:
        """The local cluster of `make spark-up`: configuration, catalog, tables, logs."""
        return self.state / "spark"

    @property
    def spark_conf(self) -> Path:
        """What a Spark session of that cluster reads: `spark-defaults.conf`."""
        return self.spark / "conf"

    @property
    def locks(self) -> Path:
        """One file per lock, held by the kernel for the process that works."""
        return self.state / "locks"

    @property
    def processes(self) -> Path:
        """One file per process that works here, locked as long as it lives."""
        return self.state / "processes"

    @property
    def scratch(self) -> Path:
        """A folder per process for what it needs only now."""
        return self.state / "tmp"

    @property
    def last_run(self) -> Path:
        """What the last run that published had to report, for the next one if nothing changed."""
        return self.state / "last_run.json"

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders in which single files are replaced, beside those of the raw zone and of publications."""
        serving = self.serving.parent
        report, docs, alerts = serving / "report", self.docs_page.parent, self.alerts.parent
        return (self.state, serving, report, self.dbt, self.dagster_home, alerts, docs)

    @property
    def docs_page(self) -> Path:
        """dbt's documentation, one page."""
        return self.state / "docs" / "index.html"
