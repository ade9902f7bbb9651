"""A real Spark cluster for the tests.

Belongs here: why there cannot be one here, one of the tests' own, gone afterwards, and its catalog for builds of few
rows. Does not: expectations, or how it is started (`tools.spark`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.processes import eventually
from tools.postgres import server_programs
from tools.spark.cluster import ONE_COMPILER, Cluster, down, up

# No test computes for long enough that Java's second compiler would pay.
_OF_EVERY_TEST = {"spark.executor.extraJavaOptions": f"{ONE_COMPILER} -Duser.timezone=UTC"}
_OF_FEW_ROWS = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
}


def missing() -> str | None:
    """What a cluster would need and this machine lacks; None where nothing is missing."""
    if importlib.util.find_spec("pyspark") is None:
        return "Spark is not installed: make spark-setup"
    if shutil.which("java") is None:
        return "no Java"
    if server_programs() is None:
        return "no PostgreSQL server programs (initdb)"
    if not Path("/usr/share/java/postgresql.jar").is_file():
        return "no JDBC driver of PostgreSQL (libpostgresql-jdbc-java)"
    return None


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[Cluster]:
    """A cluster of one master, two workers and a catalog; the tests skip where something for it is missing."""
    if reason := missing():
        pytest.skip(reason)
    with running_spark() as cluster:
        yield cluster


@contextlib.contextmanager
def running_spark(*, thrift: bool = False) -> Iterator[Cluster]:
    """A cluster in a temporary folder; it and the folder are gone afterwards."""
    # Not below pytest's folders: these are closed to the ordinary user that PostgreSQL runs as when the tests are root.
    folder = Path(tempfile.mkdtemp(prefix="taker-spark-"))
    folder.chmod(0o755)
    try:
        cluster = up(folder, thrift=thrift)
        _set(cluster.conf, _OF_EVERY_TEST)
        yield cluster
    finally:
        down(folder)
        shutil.rmtree(folder, ignore_errors=True)


def of_few_rows(cluster: Cluster, folder: Path, *, in_the_driver: bool = False) -> Path:
    """A folder of settings in `folder` for builds of few rows on this cluster, or in the driver with its catalog.

    Of few rows nearly all that a build costs is planned and started: in one partition, planned once, and without code
    generated for each stage, it costs a part of that.
    """
    conf = folder / "conf"
    shutil.copytree(cluster.conf, conf)
    _set(conf, _OF_FEW_ROWS | ({"spark.master": "local[2]"} if in_the_driver else {}))
    return conf


def _set(conf: Path, values: Mapping[str, str]) -> None:
    path = conf / "spark-defaults.conf"
    kept = [line for line in path.read_text().splitlines() if line.split(" ")[0] not in values]
    path.write_text("\n".join([*kept, *(f"{name} {value}" for name, value in values.items()), ""]))


def kill_workers(cluster: Cluster, *names: str) -> None:
    """With their executors, which lead no group of their own; returns when they are gone, as a JVM is not at once."""
    killed = [process for process in cluster.processes if process.name in names]
    for process in killed:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)
    assert eventually(lambda: not any(process.is_alive() for process in killed), 120)
