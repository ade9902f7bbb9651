"""A raw zone of merged months, built by Spark: what it reads of them is what DuckDB reads.

Belongs here: builds of one zone by both engines, before and after its months are merged and one of their days is
corrected. Does not: merging itself (`tests/ingestion/test_merging.py`), whole runs on a laptop and in a team's lake
(`tests/torture/test_merged_months.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import AGG_TRADES, LIQUIDATION_SNAPSHOT, METRICS
from ingestion.raw.merging import merge_months
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from orchestration.config.dbt import DUCKDB, SPARK
from tests.support.archives import archives_at
from tests.support.spark import of_few_rows
from tests.torture.test_merged_months import CORRECTED, FEBRUARY, FIRST, LAST, correct, publish
from tests.torture.test_spark_equality import build, differences
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARKET = parse_market("simulated:BTCUSD_PERP")
DATASETS = (AGG_TRADES, METRICS, LIQUIDATION_SNAPSHOT)
# Everything that reads a dataset whose days may be merged, and the note of what was built.
READERS = ("+int_flow_bars", "+int_raw_row_counts", "+int_metrics_hours", "+int_liquidation_states")
OF_DAYS = ("--exclude-resource-type", "test", "--select", *READERS, "int_built_receipts")


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_merged_days_and_a_corrected_one_beside_them_are_built_as_by_duckdb(
    tmp_path: Path, spark_cluster: Cluster
) -> None:
    archive, zone = tmp_path / "archive", RawZone(open_store(tmp_path / "zone"))
    conf = of_few_rows(spark_cluster, tmp_path, in_the_driver=True)

    def ingested() -> None:
        for dataset in DATASETS:
            tasks = plan(dataset, MARKET, FIRST, LAST)
            ingest(tasks, archives=archives_at(archive.as_uri()), zone=zone, now=NOW)
        zone.write_index()

    def built(*more: str) -> dict[str, Path]:
        return {
            target: build(tmp_path / target, tmp_path / "zone", target, conf, ("1h",), [*OF_DAYS, *more])
            for target in (DUCKDB, SPARK)
        }

    publish(archive)
    ingested()
    built()
    outcomes = merge_months(zone, now=NOW, settled_for=timedelta(), kept_for=timedelta())
    merged = {outcome.dataset for outcome in outcomes if outcome.status == "merged"}
    assert merged == {dataset.name for dataset in DATASETS}
    correct(archive, CORRECTED)
    ingested()

    # Of the merged month nothing is built again but the day that has an object of its own now.
    of = built()
    assert rows(of[SPARK], "select distinct bar_date from int_build_window") == [(CORRECTED,)]
    assert differences(of[DUCKDB], of[SPARK]) == {}

    # All of it from the month and that day: each row once, and none of the day's former object.
    of = built("--full-refresh")
    assert differences(of[DUCKDB], of[SPARK]) == {}
    read = rows(
        of[SPARK],
        "select dataset, bool_and(found_rows = expected_rows), sum(found_rows) > 0 from int_raw_row_counts "
        f"where strftime(bar_date, '%Y-%m') = '{FEBRUARY}' group by dataset",
    )
    assert {(dataset, True, True) for dataset in merged} <= set(read)
