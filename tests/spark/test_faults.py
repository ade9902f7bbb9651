"""What a build does when the cluster cannot be used, or fails in its middle: one sentence, and nothing half-done."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ingestion.simulator.simulated import simulate
from orchestration.warehouse.spark.build import PATIENCE
from tests.support.commands import ROOT, Taker
from tests.support.spark import kill_workers, missing
from tools.spark.cluster import Cluster, up

pytestmark = pytest.mark.xdist_group("spark")

LAST = date(2026, 3, 10)
RUN = ("run", "-q", "--from", str(LAST), "--to", str(LAST))
# Models of which each has something to compute, and that need no other.
SOME = ("dbt", "build", "--no-use-colors", "--exclude-resource-type", "unit_test", "--select", "+int_raw_row_counts")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("archive")
    simulate(folder, last_day=LAST, days=8, trades_days=7, rows_per_day=240)
    return folder


def settings_of(archive: Path) -> dict[str, str]:
    return {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}


@pytest.fixture
def taker(archive: Path, tmp_path: Path) -> Taker:
    """With a configuration that is the test's own, in `conf`."""
    (tmp_path / "conf").mkdir()
    of_spark = {"TAKER_TARGET": "spark", "TAKER_SPARK_CONF": str(tmp_path / "conf")}
    return Taker(tmp_path / "var", settings_of(archive) | of_spark)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nothing listens while the test lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def configure(taker: Taker, text: str) -> None:
    (Path(taker.environment["TAKER_SPARK_CONF"]) / "spark-defaults.conf").write_text(text)


def configured_as(cluster: Cluster, taker: Taker, **replaced: str) -> None:
    """The configuration of the cluster, with other values of some settings, whose dots are written `__`."""
    shutil.copytree(cluster.conf, taker.environment["TAKER_SPARK_CONF"], dirs_exist_ok=True)
    text = (cluster.conf / "spark-defaults.conf").read_text()
    for name, value in replaced.items():
        key = name.replace("__", ".")
        text = re.sub(rf"^{re.escape(key)} .*\n", "", text, flags=re.M) + f"{key} {value}\n"
    configure(taker, text)


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed prints, which is no traceback of Python's or of Java's."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert not re.search(r"Traceback|^\s+at [\w.$]+\(", done.stderr, re.M), done.stderr
    return done.stderr


class TestACluster:
    @pytest.mark.parametrize(
        ("setting", "what"),
        [
            ("spark.master spark://127.0.0.1:{0}", "the master 127.0.0.1:{0}"),
            ("spark.sql.catalog.lake.uri jdbc:postgresql://127.0.0.1:{0}/postgres", "the catalog 127.0.0.1:{0}"),
            ("spark.sql.catalog.lake.uri=http://127.0.0.1:{0}/rest", "the catalog 127.0.0.1:{0}"),
        ],
    )
    def test_that_does_not_answer_is_named_before_anything_is_ingested(
        self, taker: Taker, closed_port: int, setting: str, what: str
    ) -> None:
        configure(taker, setting.format(closed_port) + "\n")
        printed = error_of(taker.run(*RUN))
        assert re.fullmatch(
            rf"error: {what.format(closed_port)} of \S+ accepts no connection \(Connection refused\); start it .*\n",
            printed,
        ), printed
        assert not (taker.storage / "raw").exists()

    def test_whose_catalog_refuses_the_password_is_no_traceback(self, taker: Taker, spark_cluster: Cluster) -> None:
        configured_as(spark_cluster, taker, spark__sql__catalog__lake__jdbc__password="wrong")
        printed = error_of(taker.started("orchestration.cli", *RUN))
        assert "warehouse: no session of Spark was started: " in printed
        assert 'password authentication failed for user "taker"' in printed
        assert "the marts were not published, nothing is published yet" in printed
        assert not taker.marts.exists()

    def test_whose_master_refuses_the_secret_is_named_with_the_setting(
        self, taker: Taker, spark_cluster: Cluster
    ) -> None:
        """At once: Spark itself tries for a minute, and then reports a listener that was stopped."""
        configured_as(spark_cluster, taker, spark__authenticate__secret="wrong")
        printed = error_of(taker.started("orchestration.runs.dbt", *SOME))
        assert (
            f"error: no session of Spark was started: the master {spark_cluster.master} refuses this program: "
            "`spark.authenticate.secret` of spark-defaults.conf is not the cluster's; " in printed
        )
        assert not (taker.storage / "warehouse.duckdb").exists()


def test_without_spark_the_command_that_installs_it_is_named(taker: Taker) -> None:
    """As on a machine where nothing was installed: the process finds none of these packages."""
    configure(taker, "")
    program = (
        "import sys; sys.modules['pyspark'] = None; sys.argv = ['taker', *sys.argv[1:]]\n"
        "from orchestration.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *RUN],
        cwd=ROOT,
        env=taker.settings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert error_of(done) == "error: TAKER_TARGET is spark, and Spark is not installed; run `make spark-setup`\n"


class TestAWorkerThatIsKilledInTheMiddleOfABuild:
    @pytest.fixture
    def fragile(self, spark_cluster: Cluster) -> Iterator[Cluster]:
        """The cluster of all tests, whose workers may be killed: what was is started again."""
        yield spark_cluster
        revive(spark_cluster)

    @pytest.fixture(scope="class")
    def ingested(self, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A raw zone, as the laptop's engine needs it too."""
        laptop = Taker(tmp_path_factory.mktemp("ingested"), settings_of(archive))
        laptop.done(*RUN[:1], *RUN[2:])
        return laptop.storage / "raw"

    def test_is_done_without(self, taker: Taker, fragile: Cluster, ingested: Path) -> None:
        shutil.copytree(ingested, taker.storage / "raw")
        configured_as(fragile, taker)
        build = build_until_a_table_stands(taker)
        kill_workers(fragile, "worker-1")
        printed, _ = build.communicate()
        assert build.returncode == 0, printed
        assert (taker.storage / "warehouse.duckdb").exists()

    def test_and_all_others_too_ends_the_build_and_the_next_one_heals(
        self, taker: Taker, fragile: Cluster, ingested: Path
    ) -> None:
        shutil.copytree(ingested, taker.storage / "raw")
        # Longer than it takes until the first worker is there.
        configured_as(fragile, taker, **{PATIENCE.replace(".", "__"): "20"})
        build = build_until_a_table_stands(taker)
        kill_workers(fragile, "worker-1", "worker-2")
        printed, fault = build.communicate()
        assert build.returncode == 1, printed + fault
        assert "error: Spark has had no worker for 20 s; nothing of this build is published. Start workers" in fault
        assert not (taker.storage / "warehouse.duckdb").exists()
        revive(fragile)
        done = taker.started("orchestration.runs.dbt", *SOME)
        assert done.returncode == 0, done.stdout + done.stderr


def build_until_a_table_stands(taker: Taker) -> subprocess.Popen[str]:
    """A build of some models that has made one of them, and goes on."""
    started = subprocess.Popen(
        [sys.executable, "-m", "orchestration.runs.dbt", *SOME],
        cwd=ROOT,
        env=taker.settings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    for line in started.stdout:
        if "OK created sql table" in line:
            break
    return started


def revive(cluster: Cluster) -> None:
    cluster.processes[:] = up(cluster.folder, thrift=False).processes
