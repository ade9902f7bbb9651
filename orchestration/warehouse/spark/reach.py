"""Whether a build on Spark can begin, found out before anything of it starts.

Belongs here: the packages, Java, the configuration, and whether the cluster and the catalog that it states accept a
connection. Does not: starting a session (`session`), or what a session that began comes to (`build`).

A driver without a master tries for a minute, and then reports in Java what a connection reports at once.
"""

from __future__ import annotations

import importlib.util
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestration.config.java import java
from orchestration.warehouse.opening import WarehouseUnusable
from orchestration.warehouse.spark.conf import CATALOG

_PACKAGES: Final = ("pyspark", "dbt.adapters.spark")
_JAVA: Final = "17"
_PATIENCE_SECONDS: Final = 10.0
_MASTER: Final = "spark.master"
# An address of a catalog that is a server: JDBC's, or that of a REST catalog.
_SERVER: Final = re.compile(r"(?:jdbc:\w+|https?|thrift)://(?P<host>\[[^\]]+\]|[^:/]+)(?::(?P<port>\d+))?")
_USUAL_PORTS: Final = {"jdbc:postgresql": 5432, "http": 80, "https": 443, "thrift": 9083}


class SparkUnusable(WarehouseUnusable):
    """No build on Spark can begin. The text states why and what to do."""


def require_installed(conf: Path | None) -> Path:
    """The folder with `spark-defaults.conf`; SparkUnusable where it, Spark or Java is missing. Connects to nothing."""
    if conf is None or not (conf / "spark-defaults.conf").is_file():
        raise SparkUnusable(
            f"TAKER_TARGET is spark, and there is no spark-defaults.conf in {conf}; run `make spark-up`, "
            "or set TAKER_SPARK_CONF to the folder of your cluster's configuration"
        )
    if any(_is_missing(name) for name in _PACKAGES):
        raise SparkUnusable("TAKER_TARGET is spark, and Spark is not installed; run `make spark-setup`")
    if fault := java_fault():
        raise SparkUnusable(f"TAKER_TARGET is spark, and {fault}")
    return conf


def require_reachable(conf: Path | None) -> None:
    """SparkUnusable where the master or the catalog accepts no connection, or something is not installed.

    Masters other than Spark's own (`yarn`, `k8s://…`, `local[2]`) and catalogs without a server are not looked at.
    """
    folder = require_installed(conf)
    for what, addresses in _addresses(configured(folder)):
        faults = [_fault(host, port) for host, port in addresses]
        # Of several masters one is enough.
        if faults and None not in faults:
            named = ", ".join(f"{host}:{port}" for host, port in addresses)
            raise SparkUnusable(
                f"{what} {named} of {folder / 'spark-defaults.conf'} accepts no connection ({faults[0]}); start it "
                "(`make spark-up` for the cluster of this machine), then run the same command again"
            )


def configured(conf: Path) -> dict[str, str]:
    """What `spark-defaults.conf` states, by Spark's rules: name and value, parted by white space, `=` or `:`."""
    lines = (conf / "spark-defaults.conf").read_text().splitlines()
    pairs = (re.split(r"\s*[=:\s]\s*", line.strip(), maxsplit=1) for line in lines if not line.lstrip().startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def java_fault() -> str | None:
    """Why Spark cannot run with the Java that is here; None where it can."""
    return None if java() else f"java is missing; install a Java runtime {_JAVA}"


def _is_missing(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is None
    except ModuleNotFoundError:
        return True


def _addresses(values: dict[str, str]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """What listens, and where: the master and the catalog."""
    master = values.get(_MASTER, "")
    if master.startswith("spark://"):
        places = (place.rpartition(":") for place in master.removeprefix("spark://").split(","))
        yield "the master", [(host.strip("[]"), int(port)) for host, _, port in places]
    uri = values.get(f"spark.sql.catalog.{CATALOG}.uri", "")
    if found := _SERVER.match(uri):
        port = found["port"] or _USUAL_PORTS.get(uri.partition("://")[0])
        if port:
            yield "the catalog", [(found["host"].strip("[]"), int(port))]


def _fault(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
