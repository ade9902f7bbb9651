"""A raw zone of merged months, built by Spark: what it reads of them is what DuckDB reads.

Belongs here: builds of one zone by both engines, before and after its months are merged and one of their days is
corrected. Does not: merging itself (`tests/ingestion/test_merging.py`), whole runs on a laptop and in a team's lake
(`tests/torture/test_merged_months.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.config.dbt import DUCKDB, SPARK
from tests.support.commands import Taker
from tests.support.spark import in_the_driver
from tests.torture.test_merged_months import CORRECTED, FEBRUARY, MERGE, RUN, correct, publish, settings_of
from tests.torture.test_spark_equality import build, differences
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")

# Everything that reads a dataset whose days may be merged, and the note of what was built.
READERS = ("+int_trade_minutes", "+int_raw_row_counts", "+int_metrics_hours", "+int_liquidation_states")
OF_DAYS = ("--exclude-resource-type", "test", "--select", *READERS, "int_built_receipts")


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_merged_days_and_a_corrected_one_beside_them_are_built_as_by_duckdb(
    tmp_path: Path, spark_cluster: Cluster
) -> None:
    archive = tmp_path / "archive"
    publish(archive)
    laptop = Taker(tmp_path / "laptop", settings_of(archive))
    laptop.done(*RUN)

    conf = in_the_driver(spark_cluster, tmp_path)

    def built(*more: str) -> dict[str, Path]:
        return {
            target: build(tmp_path / target, laptop.storage, target, conf, ("1h",), [*OF_DAYS, *more])
            for target in (DUCKDB, SPARK)
        }

    built()
    merged = {month["dataset"] for month in laptop.done(*MERGE)["months"] if month["status"] == "merged"}
    assert {"aggTrades", "metrics", "liquidationSnapshot"} <= merged
    correct(archive, CORRECTED)
    laptop.done(*RUN)

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
