"""The command line of the local cluster: `python -m tools.spark up` and `python -m tools.spark down`.

Belongs here: arguments, and what is printed. Does not: starting or stopping anything (`tools.spark.cluster`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestration.config.settings import SettingsError, load_settings
from tools.postgres import PostgresFailed
from tools.spark.cluster import ClusterFailed, down, up
from tools.spark.jars import JarMissing


def main() -> None:
    """Exit code 0, or 1 with a sentence."""
    options = argparse.ArgumentParser(prog="python -m tools.spark", description="A local Spark cluster with Iceberg.")
    options.add_argument("verb", choices=["up", "down"])
    options.add_argument("--jars", default="", help="Iceberg's and PostgreSQL's jars, parted by `:`; see docs/spark.md")
    options.add_argument("--no-thrift", action="store_true", help="without the server for BI tools")
    chosen = options.parse_args()
    try:
        paths = load_settings().paths
        if chosen.verb == "down":
            print("\n".join(down(paths.spark)) or "No cluster was running.")
            return
        started = up(
            paths.spark, jars=[Path(jar) for jar in chosen.jars.split(":") if jar], thrift=not chosen.no_thrift
        )
    except (SettingsError, ClusterFailed, JarMissing, PostgresFailed) as error:
        sys.exit(f"error: {error}")
    print(f"Spark: {started.master}, catalog: PostgreSQL on port {started.catalog_port}")
    if started.thrift_port:
        print(f"BI: jdbc:hive2://127.0.0.1:{started.thrift_port}/published")
    print("Build on it with TAKER_TARGET=spark; end it with `make spark-down`")


if __name__ == "__main__":
    main()
