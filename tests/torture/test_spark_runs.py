"""`taker run` with TAKER_TARGET=spark, beside the same runs on the laptop's engine: what is published is the same.

Each test goes on from where the one before it left the storage, as days do.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ingestion.simulator.simulated import publish_correction, simulate
from orchestration.warehouse.opening import KEPT_TABLES
from tests.support.commands import ROOT, Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.killing import NODE, Aim, children_running_dbt, taker_with_aim
from tests.support.planted import LAST, PLANTED, RUN, standing
from tests.support.spark import of_few_rows
from tests.torture.test_faulty_models import REFUSED_BY_DBT, run_from, with_hook
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")


@dataclass(frozen=True)
class Both:
    """One archive, and what each engine made of it."""

    archive: Path
    laptop: Taker
    spark: Taker
    cluster: Cluster

    def programs(self) -> int:
        """How many programs the cluster's master has been given."""
        return (self.cluster.folder / "logs" / "master.log").read_text().count("Registered app ")

    def run_on_the_laptop(self) -> None:
        done = run_from(ROOT, self.laptop)
        assert done.returncode == 0, done.stdout + done.stderr

    def run_on_spark(self) -> subprocess.CompletedProcess[str]:
        return run_from(ROOT, self.spark)

    def different(self) -> list[str]:
        return differences(fingerprints(self.laptop.marts), fingerprints(self.spark.marts))


@pytest.fixture(scope="module")
def both(spark_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("both")
    simulate(folder / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    settings = {
        "TAKER_ARCHIVE_URL": (folder / "archive").as_uri(),
        "TAKER_MARKETS": "simulated:BTCUSDT,simulated:BTCUSD_PERP",
    }
    of_spark = {**settings, "TAKER_TARGET": "spark", "TAKER_SPARK_CONF": str(of_few_rows(spark_cluster, folder))}
    return Both(
        folder / "archive", Taker(folder / "laptop", settings), Taker(folder / "spark", of_spark), spark_cluster
    )


def test_what_is_published_is_what_the_laptop_publishes(both: Both) -> None:
    both.run_on_the_laptop()
    done = both.run_on_spark()
    assert done.returncode == 0, done.stdout + done.stderr
    assert both.different() == []


def test_what_is_published_is_read_as_on_the_laptop(both: Both) -> None:
    for arguments in (
        ("brief", "--json"),
        ("claim", f"BTCUSDT {LAST} bearish rank 1 in 730 days", "--json"),
        ("sql", "select * from fct_net_taker_volume_daily order by all", "--csv"),
        ("tables",),
    ):
        answers = [taker.run(*arguments) for taker in (both.laptop, both.spark)]
        assert answers[0].stdout == answers[1].stdout != "", answers
        assert answers[0].returncode == answers[1].returncode


def test_readers_on_the_cluster_have_what_is_published(both: Both) -> None:
    ((run_id, days, net),) = both.spark.query(
        "select max(run_id), count(*), sum(net_taker_usd) from publication, fct_net_taker_volume_daily"
    )
    shown = shown_by_dbt(
        both.spark,
        "select 'agrees' as verdict from lake.published.publication, lake.published.fct_net_taker_volume_daily "
        f"group by run_id having run_id = '{run_id}' and count(*) = {days} and sum(net_taker_usd) = {net}",
    )
    assert "agrees" in shown


def test_a_run_that_has_nothing_to_do_starts_no_spark(both: Both) -> None:
    before = both.programs()
    assert both.spark.done(*RUN[:1], *RUN[2:])["up_to_date"]
    assert both.programs() == before > 0


def test_a_correction_that_a_killed_run_had_begun_is_published_as_by_the_laptop(both: Both, tmp_path: Path) -> None:
    publish_correction(both.archive)
    both.run_on_the_laptop()
    before = standing(both.spark.marts)
    log = tmp_path / "stage"
    log.write_text("start")
    # When some of the tables of which a build keeps rows are of the correction already, and some are not.
    aim = Aim(NODE, 100, 0.5, "group")
    killed = both.spark.run_as(partial(taker_with_aim, aim, log), *RUN)
    assert (killed.returncode, log.read_text()) == (-9, "dbt build"), killed.stderr
    assert not children_running_dbt(mention=str(both.spark.storage))
    assert standing(both.spark.marts) == before
    done = both.run_on_spark()
    assert done.returncode == 0, done.stdout + done.stderr
    assert both.different() == []


def test_rows_are_replaced_in_one_snapshot_of_their_table(both: Both) -> None:
    """So that no build can end between clearing and filling a table: each snapshot is one build's."""
    counted = " union all ".join(
        f"select '{table}' as name, count(*) as snapshots, count(distinct summary['spark.app.id']) as builds "
        f"from main.{table}.snapshots"
        for table in KEPT_TABLES
    )
    shown = shown_by_dbt(both.spark, f"select * from ({counted}) as counted where snapshots <> builds")
    assert "| name" in shown
    assert not [table for table in KEPT_TABLES if table in shown], shown


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, of which a test makes a faulty release."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("ingestion", "orchestration", "dbt_project"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "logs", "target"))
    return root


class TestAFaultyModel:
    """Of each of the two that refuse it: a data test of dbt on Spark, and the audit, which reads the copy."""

    @pytest.mark.parametrize(
        ("mart", "refusal"),
        [
            ("dim_markets", REFUSED_BY_DBT["dim_markets"]),
            (
                "fct_taker_dominance_daily",
                "gx_fct_taker_dominance_daily: [critical] a percentile is a share: ",
            ),
        ],
    )
    def test_is_refused_by_its_rule_and_row_and_readers_stay_on_the_former_publication(
        self, both: Both, checkout: Path, mart: str, refusal: str
    ) -> None:
        before = standing(both.spark.marts)
        with with_hook(checkout, PLANTED[mart]):
            done = run_from(checkout, both.spark)
        printed = done.stdout + done.stderr
        assert done.returncode == 1, printed
        assert standing(both.spark.marts) == before
        assert "Traceback" not in printed
        refused = [line for line in printed.splitlines() if line.startswith("blocked ") and refusal in line]
        assert refused, printed
        assert all("market_id simulated:BTCUSD" in line for line in refused)

    def test_leaves_nothing_in_the_tables_once_the_right_one_has_built_again(self, both: Both) -> None:
        """By itself the right one has nothing to do: what is published is its own, and the tables alone are not."""
        before = standing(both.spark.marts)
        assert both.spark.done(*RUN[:1], *RUN[2:])["up_to_date"]
        assert standing(both.spark.marts) == before
        done = both.spark.started("orchestration.cli", *RUN, "--full-audit")
        assert done.returncode == 0, done.stdout + done.stderr
        assert standing(both.spark.marts) != before
        assert both.different() == []


def shown_by_dbt(taker: Taker, query: str) -> str:
    """What `make dbt ARGS="show …"` prints of the rows of a query."""
    done = taker.started("orchestration.runs.dbt", "dbt", "show", "--no-use-colors", "--limit", "50", "--inline", query)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition("Previewing inline node:")[2]
