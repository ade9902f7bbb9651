"""Snapshots of the warehouse's Iceberg tables that are no longer needed.

Belongs here: for how long they stay. Does not: files that no snapshot ever named, of writes that were killed: to find
those, a folder must be listed (docs/spark.md).

Each build adds a snapshot to the tables that it changes, and replaces most tables whole: their former files would stay
for ever. What is published in files is a copy, which needs none of them; on the cluster it is a branch of each mart,
whose snapshot stays.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestration.warehouse.spark.conf import SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Long enough for a reader of the lake to end its query, and for a person to look at what a bad build replaced.
KEPT: Final = timedelta(days=1)


def expire(session: SparkSession, before: datetime | None = None) -> None:
    """Drop snapshots older than `before` (default: `KEPT` ago) with the files that only they need.

    A table's current snapshot stays, and that of each branch. In the driver, by Iceberg's own interface: its procedure
    starts a job for each table, which costs more than the build of a small one.
    """
    limit = int((before or datetime.now(UTC) - KEPT).timestamp() * 1000)
    spark3 = session._jvm.org.apache.iceberg.spark.Spark3Util
    for row in session.sql(f"show tables in {SCHEMA}").collect():
        table = spark3.loadIcebergTable(session._jsparkSession, f"{SCHEMA}.{row['tableName']}")
        snapshots = list(table.snapshots())
        needed = {ref.snapshotId() for ref in list(table.refs().values())}
        if any(one.timestampMillis() < limit and one.snapshotId() not in needed for one in snapshots):
            table.expireSnapshots().expireOlderThan(limit).retainLast(1).cleanExpiredFiles(True).commit()
