"""Programs that connect to the cluster's server for BI tools have what was published, by Hive's own client."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.spark import missing, running_spark
from tools.spark.cluster import Cluster
from tools.spark.jars import spark_home

# In a process of its own: a process has one session.
PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from orchestration.warehouse.opening import WarehouseFile
from orchestration.warehouse.place import opened
from orchestration.warehouse.publish import cluster
from orchestration.warehouse.publish.tables import Table
from orchestration.warehouse.spark import image
from orchestration.warehouse.spark.session import start

conf, warehouse = Path(sys.argv[1]), Path(sys.argv[2])
session = start(conf)
session.sql("create or replace table fct_days using iceberg as select 1 as number")
image.write(session, warehouse, {})
with opened(WarehouseFile(warehouse)) as connection:
    snapshots = cluster.audited_snapshots(connection)
with cluster.shown(
    cluster.Cluster(conf), [Table("fct_days", "", (), (), 1)], snapshots, (None, None, []), run_id="one", settings={},
    audit={}, now=datetime.now(UTC),
):
    pass
session.sql("create or replace table fct_days using iceberg as select 2 as number")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    with running_spark(thrift=True) as cluster:
        warehouse = tmp_path_factory.mktemp("bi") / "warehouse.duckdb"
        command = [sys.executable, "-c", PROGRAM, str(cluster.conf), str(warehouse)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        yield cluster


def answer(server: Cluster, sql: str) -> list[dict[str, str]]:
    """As its address is printed by `make spark-up`."""
    url = f"jdbc:hive2://127.0.0.1:{server.thrift_port}/published"
    done = subprocess.run(
        [str(Path(spark_home()) / "bin" / "beeline"), "-u", url, "--outputformat=csv2", "--silent=true", "-e", sql],
        env={**os.environ, "SPARK_CONF_DIR": str(server.conf)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *rows = filter(str.strip, done.stdout.splitlines())
    return list(csv.DictReader([first.rpartition("> ")[2], *rows]))  # its prompt is before the names


def test_a_mart_is_read_by_its_name_as_it_was_published(server: Cluster) -> None:
    assert answer(server, "select * from fct_days") == [{"number": "1"}]


def test_which_run_published_is_a_row_beside_it(server: Cluster) -> None:
    assert answer(server, "select run_id from publication") == [{"run_id": "one"}]


def test_what_was_built_since_is_in_the_schema_of_builds(server: Cluster) -> None:
    assert answer(server, "select * from lake.main.fct_days") == [{"number": "2"}]
