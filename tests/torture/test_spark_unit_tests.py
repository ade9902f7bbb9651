"""dbt's own unit tests on Spark: each rule of a model holds there as on DuckDB (`tests/dbt/test_unit_tests.py`).

The tables that they take their columns from are built empty on the cluster's catalog. They compute in the driver, since
a fixture has a few rows.
"""

from __future__ import annotations

import json

import pytest

from orchestration.config.dbt import SPARK, DbtConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.profile import target_dir
from tests.dbt.test_unit_tests import UNIT_TESTS
from tests.support.spark import of_few_rows
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")


@pytest.fixture(scope="module")
def verdicts(spark_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By unit test, `pass` or what is wrong."""
    folder = tmp_path_factory.mktemp("unit_tests")
    conf = of_few_rows(spark_cluster, folder, in_the_driver=True)
    config = DbtConfig(Paths(folder), Storage(str(folder)), SPARK, "aggTrades", ("1h",), spark_conf=conf)
    assert run_dbt(["build", "--quiet", "--exclude-resource-type", "unit_test", "test"], config) == 0
    run_dbt(["test", "--quiet", "--select", "test_type:unit"], config)
    results = json.loads((target_dir(config) / "run_results.json").read_bytes())["results"]
    return {
        each["unique_id"]: each["status"] if each["status"] == "pass" else f"{each['status']}: {each['message']}"
        for each in results
    }


@pytest.mark.parametrize(("model", "name"), UNIT_TESTS, ids=[name for _, name in UNIT_TESTS])
def test_rule(model: str, name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[f"unit_test.taker.{model}.{name}"] == "pass"
