"""The Spark session in which dbt builds: made here before dbt starts, which then finds it.

Belongs here: how the driver is configured and named, and what is registered in it. Does not: which settings decide on
values (`conf`), what the raw zone holds (`raw_zone`), the ranks (`trailing`).

dbt-spark's method `session` takes the session of its own process. It would make one with Hive's metastore, a database
that one process at a time may open: ours keeps the raw zone's catalog in memory, where each build declares it anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestration.warehouse.spark.conf import SCHEMA, SEMANTICS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NAME: Final = "taker"
# What the wheels of pyarrow and DuckDB take of a worker's core: one task is one thread.
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}


def start(conf: Path | None = None) -> SparkSession:
    """The session of this process. `conf`: the folder with `spark-defaults.conf`; None: Spark's own rules.

    About ten seconds. Raises SecretRefused, or what Spark raises where the cluster cannot be reached.
    """
    from pyspark.sql import SparkSession

    from orchestration.warehouse.spark import trailing
    from orchestration.warehouse.spark.secret import require_accepted

    if conf is not None:
        os.environ["SPARK_CONF_DIR"] = str(conf)
    require_accepted()
    # The workers' Python, where it is the same machine or has the same folders; elsewhere it is configured.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(_NAME).config("spark.sql.catalogImplementation", "in-memory")
    for name, value in {
        **SEMANTICS,
        "spark.ui.showConsoleProgress": "false",
        # A row of the ranks' function is a whole series: a batch of a thousand would be all of them at once.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "8",
        **{f"spark.executorEnv.{name}": value for name, value in _ONE_THREAD.items()},
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    session.sql(f"create schema if not exists {SCHEMA}")
    session.sql(f"use {SCHEMA}")
    trailing.register(session)
    return session


def prepare(raw_url: str) -> SparkSession:
    """The session of this process as dbt needs it: its mode, and the raw zone declared. `raw_url`: as dbt has it."""
    from ingestion.raw.stores import open_store
    from ingestion.raw.zone import RawZone
    from orchestration.warehouse.spark.ansi import keep_ansi_mode
    from orchestration.warehouse.spark.raw_zone import declare

    keep_ansi_mode()
    session = start()
    declare(session, spark_address(raw_url), RawZone(open_store(raw_url.removesuffix("/raw"))))
    return session


def spark_address(url: str) -> str:
    """A folder or an S3 address as Hadoop's file systems name it."""
    if url.startswith("s3://"):
        return f"s3a://{url.removeprefix('s3://')}"
    return Path(url).as_uri()
