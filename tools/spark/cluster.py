"""A standalone cluster on the loopback interface: a master, two workers, a catalog, and a server for BI tools.

Belongs here: its configuration, its processes and how they end. Does not: Spark's jars (`tools.spark.jars`), or how
values are computed on any cluster (`orchestration.warehouse.spark.session`).

Everything lies below one folder: `conf/` (what Spark reads, with secrets, for the owner alone), `catalog/`
(PostgreSQL), `lake/` (the tables' Parquet), `logs/`, `cluster.json` (what runs). Ports are chosen free by the system.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from ingestion.raw.durable import atomic_write
from orchestration.warehouse.spark.conf import CATALOG, SEMANTICS
from orchestration.warehouse.spark.reach import java_fault
from tools import postgres
from tools.spark.jars import class_path, spark_home

WORKERS: Final = 2
# Of each executor and of each driver. Python workers take their own beside it.
MEMORY: Final = "1g"
# What a worker may give away: an executor takes a part beside its heap.
_WORKER_MEMORY: Final = "1536m"
_DAEMON_MEMORY: Final = "256m"
# Of what plans queries or waits: each query is another one, and Java's second compiler costs more there than it saves
# (docs/spark.md). Executors have it: of many rows it nearly halves what each costs.
ONE_COMPILER: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_WORKER: Final = "worker-"
# Java alone takes a minute where other work has the cores; a part that ends is noticed at once.
_START_SECONDS: Final = 300.0
_END_SECONDS: Final = 20.0


class ClusterFailed(Exception):
    """The cluster did not start. The text states which part, and ends with its log."""


@dataclass(frozen=True)
class Process:
    """A process that was started: the kernel gives its number to another one only with another start."""

    name: str
    pid: int
    started: str

    def is_alive(self) -> bool:
        return _start_of(self.pid) == self.started


@dataclass
class Cluster:
    """What runs. `conf`: the folder that a driver takes as SPARK_CONF_DIR."""

    folder: Path
    master: str = ""
    catalog_port: int = 0
    thrift_port: int = 0
    processes: list[Process] = field(default_factory=list)

    @property
    def conf(self) -> Path:
        return self.folder / "conf"

    def save(self) -> None:
        with atomic_write(self.folder / "cluster.json") as staged:
            staged.write_text(json.dumps({**asdict(self), "folder": str(self.folder)}))


def up(folder: Path, *, jars: Sequence[Path] = (), thrift: bool = True) -> Cluster:
    """Start what does not run yet of the cluster of `folder`. About 15 s; with the server for BI tools, 30 s.

    Workers that ended are started again; where another part ended, all of it. ClusterFailed, JarMissing or
    PostgresFailed: then nothing of it is left running.
    """
    running = running_cluster(folder) or _with_new_workers(folder)
    if running:
        return running
    down(folder)
    if fault := java_fault():
        raise ClusterFailed(fault)
    programs = postgres.server_programs()
    if programs is None:
        raise ClusterFailed("PostgreSQL's programs (initdb, pg_ctl) are missing; install postgresql")
    classes = class_path(jars)
    home = spark_home()
    for name in ("conf", "catalog", "lake", "logs", "local", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, catalog_port=postgres.free_port())
    try:
        password = _secret(folder / "conf" / "catalog_password")
        postgres.start(programs, folder / "catalog", password, cluster.catalog_port)
        _write_conf(cluster, classes, password, master="")
        master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        cluster.master = _spawn(cluster, home, "master", master, r"Starting Spark master at (spark://\S+)")
        _write_conf(cluster, classes, password, master=cluster.master)
        for number in range(1, WORKERS + 1):
            _spawn_worker(cluster, home, f"{_WORKER}{number}")
        if thrift:
            _start_thrift(cluster, home)
    except BaseException:
        cluster.save()
        down(folder)
        raise
    cluster.save()
    return cluster


def down(folder: Path) -> list[str]:
    """End every process of the cluster of `folder`; a sentence for each that was running. Its tables stay."""
    ended = []
    for process in reversed(_noted(folder).processes):
        if process.is_alive():
            _end(process)
            ended.append(f"Ended {process.name} (process {process.pid}).")
    programs = postgres.server_programs()
    if programs and (folder / "catalog" / "data" / "postmaster.pid").exists():
        with contextlib.suppress(postgres.PostgresFailed):  # its process may be gone already, after a restart
            postgres.stop(programs, folder / "catalog")
            ended.append("Ended the catalog.")
    for name in ("cluster.json", "work", "local"):
        path = folder / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return ended


def running_cluster(folder: Path) -> Cluster | None:
    """The cluster of `folder`, when all of its processes are alive."""
    noted = _noted(folder)
    is_running = len(noted.processes) > WORKERS and all(process.is_alive() for process in noted.processes)
    return noted if is_running else None


def _with_new_workers(folder: Path) -> Cluster | None:
    """The cluster of `folder` of which nothing but workers had ended, which are started again; None of any other."""
    noted = _noted(folder)
    ended = [process for process in noted.processes if not process.is_alive()]
    if len(noted.processes) <= WORKERS or not all(process.name.startswith(_WORKER) for process in ended):
        return None
    try:
        for process in ended:
            noted.processes.remove(process)
            _spawn_worker(noted, spark_home(), process.name)
    except BaseException:
        down(folder)
        raise
    return noted


def _noted(folder: Path) -> Cluster:
    """The cluster of `folder` as it was when it was last written down; one without processes where it never was."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        held = json.loads((folder / "cluster.json").read_text())
        processes = [Process(**one) for one in held["processes"]]
        return Cluster(folder, held["master"], held["catalog_port"], held["thrift_port"], processes)
    return Cluster(folder)


def _secret(path: Path) -> str:
    """A password that is made once, and kept for the owner alone: the catalog was made with it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
    return path.read_text()


def _write_conf(cluster: Cluster, classes: Sequence[Path], password: str, master: str) -> None:
    folder = cluster.folder
    values = {
        **({"spark.master": master} if master else {}),
        # A program of another user of this machine must not run code on these workers.
        "spark.authenticate": "true",
        "spark.authenticate.secret": _secret(folder / "conf" / "cluster_secret"),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": MEMORY,
        "spark.executor.memory": MEMORY,
        "spark.executor.cores": "1",
        "spark.cores.max": str(WORKERS),
        "spark.ui.enabled": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.warehouse.dir": str(folder / "hive"),
        # By class path and not `spark.jars`: the catalog's classes are looked up by the loader of Spark's own.
        "spark.driver.extraClassPath": ":".join(map(str, classes)),
        "spark.executor.extraClassPath": ":".join(map(str, classes)),
        "spark.driver.extraJavaOptions": f"{ONE_COMPILER} -Duser.timezone=UTC -Dderby.system.home={folder / 'hive'}",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.sql.shuffle.partitions": "4",
        f"spark.sql.catalog.{CATALOG}": "org.apache.iceberg.spark.SparkCatalog",
        f"spark.sql.catalog.{CATALOG}.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        f"spark.sql.catalog.{CATALOG}.uri": f"jdbc:postgresql://127.0.0.1:{cluster.catalog_port}/postgres",
        f"spark.sql.catalog.{CATALOG}.jdbc.user": "taker",
        f"spark.sql.catalog.{CATALOG}.jdbc.password": password,
        # The first version of the catalog's tables has no views.
        f"spark.sql.catalog.{CATALOG}.jdbc.schema-version": "V1",
        f"spark.sql.catalog.{CATALOG}.warehouse": f"file://{folder / 'lake'}",
        **SEMANTICS,
    }
    for name in ("spark-defaults.conf", "log4j2.properties"):
        path = folder / "conf" / name
        path.touch(mode=0o600)
    text = "".join(f"{name} {value}\n" for name, value in values.items())
    (folder / "conf" / "spark-defaults.conf").write_text(text)
    (folder / "conf" / "log4j2.properties").write_text(_LOG)


_LOG: Final = """rootLogger.level = info
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def _spawn(cluster: Cluster, home: Path, name: str, command: list[str], sign: str) -> str:
    """Start one of Spark's classes, and return what `sign` finds in its log."""
    return _started(cluster, name, [str(home / "bin" / "spark-class"), *command], sign)


def _spawn_worker(cluster: Cluster, home: Path, name: str) -> None:
    command = ["org.apache.spark.deploy.worker.Worker", cluster.master, "--host", "127.0.0.1", "--webui-port", "0"]
    command += ["--cores", "1", "--memory", _WORKER_MEMORY, "--work-dir", str(cluster.folder / "work")]
    _spawn(cluster, home, name, command, r"(Successfully registered with master)")


def _start_thrift(cluster: Cluster, home: Path) -> None:
    """The server for BI tools computes in its own process: it would hold the workers' cores from every build."""
    cluster.thrift_port = postgres.free_port()
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--name", "taker-thrift"]
    # It computes, and for long.
    command += ["--driver-java-options", f"-Duser.timezone=UTC -Dderby.system.home={cluster.folder / 'hive'}"]
    command += ["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"]
    command += ["--hiveconf", f"hive.server2.thrift.port={cluster.thrift_port}"]
    command += ["--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1", "spark-internal"]
    _started(cluster, "thrift", command, r"(HiveThriftServer2 started)")


def _started(cluster: Cluster, name: str, command: list[str], sign: str) -> str:
    log = cluster.folder / "logs" / f"{name}.log"
    environment = {
        **os.environ,
        "SPARK_CONF_DIR": str(cluster.conf),
        "SPARK_LOCAL_IP": "127.0.0.1",
        # Of a master and of a worker; Spark counts its server for BI tools among the daemons.
        "SPARK_DAEMON_MEMORY": MEMORY if name == "thrift" else _DAEMON_MEMORY,
        "SPARK_DAEMON_JAVA_OPTS": "" if name == "thrift" else ONE_COMPILER,
        "SPARK_NO_DAEMONIZE": "1",
    }
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            env=environment,
            cwd=cluster.folder / "logs",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    cluster.processes.append(Process(name, started.pid, _start_of(started.pid)))
    cluster.save()
    found: list[str] = []

    def is_up() -> bool:
        match = re.search(sign, log.read_text(errors="replace"))
        found[:] = [match[1]] if match else []
        return bool(match) or started.poll() is not None

    _wait(is_up, _START_SECONDS)
    if not found:
        ending = "ended" if started.poll() is not None else f"did not start within {_START_SECONDS:.0f} s"
        raise ClusterFailed(f"{name} {ending}:\n{log.read_text(errors='replace')[-2000:]}")
    return found[0]


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return met


def _end(process: Process) -> None:
    """End a process with what it started (a worker's executors), which are of its group."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        if _wait(lambda: not process.is_alive(), _END_SECONDS):
            break
    # Executors that outlive their worker.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _start_of(pid: int) -> str:
    """When the process began, in ticks since the boot; empty for one that has ended."""
    with contextlib.suppress(OSError):
        # The name of the program, in parentheses, may hold anything: fields are counted after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""
