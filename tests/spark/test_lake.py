"""The tables on the lake: which of their snapshots stay."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.commands import ROOT
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")

# In a process of its own: a process has one session.
PROGRAM = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from orchestration.warehouse.spark.expiry import expire
from orchestration.warehouse.spark.session import start

session = start(Path(sys.argv[1]))
for number in range(3):
    session.sql(f"create or replace table replaced using iceberg as select {number} as number")
session.sql("create table empty_one (number int) using iceberg")

def state():
    files = len(list(Path(sys.argv[2]).rglob("replaced*/data/*.parquet")))
    return [session.sql("select * from main.replaced.snapshots").count(), files]

found = [state()]
expire(session)
found.append(state())
expire(session, datetime.now(UTC))
found.append(state())
rows = [row["number"] for row in session.table("replaced").collect()]
session.sql("drop table replaced purge")
session.sql("drop table empty_one purge")
print(json.dumps({"found": found, "rows": rows}))
"""


def test_former_snapshots_end_with_their_files_when_they_are_old_and_the_rows_stay(spark_cluster: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(spark_cluster.conf), str(spark_cluster.folder / "lake")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"found": [[3, 3], [3, 3], [1, 1]], "rows": [2]}
