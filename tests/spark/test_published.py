"""What readers on the cluster have: the rows that were audited, whatever is built since."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.warehouse.publish import cluster
from orchestration.warehouse.publish.cluster import shown
from orchestration.warehouse.publish.tables import PublicationError
from tests.support.commands import ROOT
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")

# In a process of its own: a process has one session.
PROGRAM = r"""
import json, sys
from datetime import UTC, date, datetime
from pathlib import Path
from orchestration.warehouse.opening import WarehouseFile
from orchestration.warehouse.place import opened
from orchestration.warehouse.publish.tables import PublicationError, Table
from orchestration.warehouse.publish import cluster
from orchestration.warehouse.spark import expiry, image
from orchestration.warehouse.spark.session import start

conf, warehouse = Path(sys.argv[1]), Path(sys.argv[2])
session = start(conf)
NAMES = ("fct_days", "fct_none", "fct_gone")

def built(number):
    session.sql(f"create or replace table fct_days using iceberg as select {number} as number, 'x' as former")
    session.sql("create or replace table fct_none using iceberg as select 1 as number where false")
    session.sql(f"create or replace table fct_gone using iceberg as select {number} as number")
    session.sql(f"create or replace table int_days using iceberg as select {number} as number")
    image.write(session, warehouse, {})

def publish(run_id, names=NAMES, fault=None):
    with opened(WarehouseFile(warehouse)) as connection:
        snapshots = cluster.audited_snapshots(connection)
    tables = [Table(name, "", (), (), 1) for name in (*names, "fct_of_the_files_alone")]
    with cluster.shown(
        cluster.Cluster(conf), tables, snapshots, (date(2026, 1, 1), None, ["simulated:BTCUSDT"]), run_id=run_id,
        settings={"a": 'quote " and \\ and é'}, audit={"gx": "passed"},
        now=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    ) as report:
        if fault:
            raise fault
    return report.schema

def seen():
    views = sorted(row["viewName"] for row in session.sql("show views in lake.published").collect())
    days = [list(row) for row in session.sql("select * from lake.published.fct_days").collect()]
    row = session.sql("select *, unix_micros(published_at) as at from lake.published.publication").collect()[0].asDict()
    return {"views": views, "days": days, "run": row["run_id"], "publication": {k: str(v) for k, v in row.items()}}

found = {}
built(1)
found["schema"] = publish("one")
found["first"] = seen()
session.sql("create or replace table fct_days using iceberg as select 2 as number")
expiry.expire(session, datetime.now(UTC))
found["built_since"] = seen()
session.sql("refresh table fct_days")
of_branch = session.sql("select number from fct_days version as of 'published'")
found["branch"] = [row["number"] for row in of_branch.collect()]
built(3)
try:
    publish("refused", fault=ValueError("refused"))
except ValueError:
    found["refused"] = seen()
publish("two", NAMES[:2])
found["second"] = seen()
session.sql("drop table fct_none purge")
built(4)
session.sql("create or replace table fct_days using iceberg as select 5 as number")
session.sql("create or replace table fct_days using iceberg as select 6 as number")
expiry.expire(session, datetime.now(UTC))
try:
    publish("expired")
except PublicationError as error:
    found["expired"], found["after"] = str(error), seen()
for name in (*NAMES, "int_days"):
    session.sql(f"drop table if exists {name} purge")
for name in found["after"]["views"]:
    session.sql(f"drop view lake.published.{name}")
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(spark_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    warehouse = tmp_path_factory.mktemp("published") / "warehouse.duckdb"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(spark_cluster.conf), str(warehouse)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_each_mart_that_the_cluster_has_is_a_view_beside_the_row_of_the_publication(found: dict[str, Any]) -> None:
    assert found["schema"] == "lake.published"
    assert found["first"]["views"] == ["fct_days", "fct_gone", "fct_none", "publication"]
    assert found["first"]["days"] == [[1, "x"]]


def test_the_row_of_the_publication_is_that_of_every_other_target(found: dict[str, Any]) -> None:
    row = found["first"]["publication"]
    assert (row["run_id"], row["first_day"], row["last_day"]) == ("one", "2026-01-01", "None")
    assert int(row["at"]) == 1767323045678901
    assert json.loads(row["settings"]) == {"a": 'quote " and \\ and é'}
    assert (json.loads(row["markets"]), json.loads(row["audit"])) == (["simulated:BTCUSDT"], {"gx": "passed"})


def test_what_is_built_since_is_not_seen_nor_does_an_expiry_take_what_is(found: dict[str, Any]) -> None:
    assert found["built_since"] == found["first"]
    assert found["branch"] == [1]


def test_a_publication_that_is_refused_leaves_the_former_one(found: dict[str, Any]) -> None:
    assert found["refused"] == found["first"]


def test_the_next_publication_takes_its_place_without_the_marts_that_are_no_more(found: dict[str, Any]) -> None:
    assert found["second"]["views"] == ["fct_days", "fct_none", "publication"]
    assert (found["second"]["days"], found["second"]["run"]) == ([[3, "x"]], "two")


def test_a_snapshot_that_is_no_longer_there_is_not_published(found: dict[str, Any]) -> None:
    assert "lake.main.fct_days no longer has the snapshot" in found["expired"]
    assert found["after"]["run"] == "two"


@pytest.mark.parametrize(
    ("setting", "other", "why"),
    [
        ("spark.sql.catalog.lake.uri", "jdbc:postgresql://127.0.0.1:1/postgres", "refused"),
        ("spark.driver.extraClassPath", "/none.jar", "Iceberg is not in its spark.driver.extraClassPath"),
    ],
)
def test_a_catalog_that_cannot_be_used_is_one_sentence(
    spark_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, other: str, why: str
) -> None:
    monkeypatch.setenv("SPARK_CONF_DIR", "")  # what is set meanwhile ends with this test
    lines = (spark_cluster.conf / "spark-defaults.conf").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(setting)]
    (tmp_path / "spark-defaults.conf").write_text("\n".join([*kept, f"{setting} {other}"]))
    with (
        pytest.raises(PublicationError, match=f"^the catalog lake of .*{why}.*Nothing was published.*stands$"),
        shown(
            cluster.Cluster(tmp_path),
            [],
            {},
            (None, None, []),
            run_id="",
            settings={},
            audit={},
            now=datetime.now(UTC),
        ),
    ):
        pytest.fail("nothing may be switched")
