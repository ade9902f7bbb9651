"""What Spark builds on Iceberg is what DuckDB builds, row for row and digit for digit, after a correction too."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.config.dbt import DUCKDB, SPARK, DbtConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.warehouse.dbt import run_dbt
from tests.support.commands import Taker
from tests.support.spark import missing, running_spark
from tests.support.whole_zones import correct, whole_zone
from tools.spark.cluster import Cluster

pytestmark = pytest.mark.xdist_group("spark")

# Of a build and its engine, not of what was built.
OF_THE_BUILD = {"build_id", "former_build_id", "row_hashes", "definition_hash", "logic_version", "build_state"}
# How ranks, and the briefs made of them, are replaced: DuckDB compares a few bars with their windows, where Spark ranks
# the series again.
OF_THE_WAY = {"int_rank_changes", "int_brief_changes"}
# Judged by rules that no row of this zone breaks; each has unit tests of its own.
EMPTY = {"int_flow_hour_shapes", "int_flow_kline_lengths", "int_flow_price_contradictions", "int_venue_taker_ratios"}


def build(
    folder: Path,
    zone: Path,
    target: str,
    conf: Path,
    intervals: tuple[str, ...] = ("1d",),
    more: Sequence[str] = (),
) -> Path:
    """The warehouse file that a build of this zone leaves in `folder`; every data test of it passed."""
    config = DbtConfig(Paths(folder), Storage(str(zone)), target, "aggTrades", intervals, spark_conf=conf)
    assert run_dbt(["build", "--exclude-resource-type", "unit_test", "--no-write-json", *more], config) == 0
    return config.paths.warehouse


def differences(expected: Path, found: Path) -> dict[str, object]:
    """By table: what differs in its columns, or how many rows only one side has."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{expected}' as expected (read_only); attach '{found}' as found (read_only)")
        tables = [
            {name for (name,) in connection.execute(f"select table_name from duckdb_tables() {of}").fetchall()}
            for of in ("where database_name = 'expected'", "where database_name = 'found'")
        ]
        assert tables[0] - tables[1] == set()
        differing: dict[str, object] = {}
        for table in sorted(tables[0]):
            columns = [row[0] for row in connection.execute(f"describe expected.{table}").fetchall()]
            names = ", ".join(f'"{name}"' for name in columns if name not in OF_THE_BUILD)
            one, other = f"select {names} from expected.{table}", f"select {names} from found.{table}"
            sides = [f"({one}) except all ({other})", f"({other}) except all ({one})"]
            counts = [connection.execute(f"select count(*) from ({side})").fetchone()[0] for side in sides]
            if any(counts):
                differing[table] = (counts, connection.execute(f"{sides[0]} limit 1").fetchall())
        return differing


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zone")
    whole_zone(folder)
    return folder


@pytest.fixture(scope="module")
def built(zone: Path, spark_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("built")
    return {target: build(folder / target, zone, target, spark_cluster.conf) for target in (DUCKDB, SPARK)}


class TestEveryTable:
    def test_is_equal_to_that_of_duckdb(self, built: dict[str, Path]) -> None:
        assert differences(built[DUCKDB], built[SPARK]) == {}

    def test_holds_rows_that_are_compared(self, built: dict[str, Path]) -> None:
        with duckdb.connect(str(built[DUCKDB]), read_only=True) as connection:
            names = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
            empty = {name for name in names if not connection.execute(f"select 1 from {name} limit 1").fetchall()}
        assert empty == EMPTY

    def test_has_the_types_that_duckdb_gives_a_mart(self, built: dict[str, Path]) -> None:
        sql = (
            "select table_name, column_name, data_type from duckdb_columns() "
            "where regexp_matches(table_name, '^(dim|fct|agg|rpt)_') order by all"
        )
        found = []
        for path in built.values():
            with duckdb.connect(str(path), read_only=True) as connection:
                found.append(connection.execute(sql).fetchall())
        assert found[0] == found[1] != []


def test_a_corrected_and_a_withdrawn_day_are_replaced_as_by_duckdb(
    built: dict[str, Path], zone: Path, spark_cluster: Cluster
) -> None:
    """In the warehouses that the tests before have read."""
    correct(whole_zone(zone))
    again = {target: build(path.parent, zone, target, spark_cluster.conf) for target, path in built.items()}
    assert set(differences(again[DUCKDB], again[SPARK])) <= OF_THE_WAY
    with duckdb.connect(str(again[SPARK]), read_only=True) as connection:
        window = connection.execute("select source, count(*) from int_build_window group by source").fetchall()
    assert window == [("trades", 2)]


@pytest.fixture(scope="module")
def recorded(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw zone of everything in the real mirror: bars of two intervals, and trades of a few days."""
    settings = {
        "TAKER_ARCHIVE_URL": mirror,
        "TAKER_KLINE_INTERVAL": "4h,1d",
        "TAKER_MARKETS": "binance_um:BTCUSDT,binance_um:TRXUSDT,binance_cm:BTCUSD_PERP",
    }
    taker = Taker(tmp_path_factory.mktemp("recorded"), settings)
    taker.done("run", "--from", "2022-01-01", "--to", "2026-07-30")
    return taker.storage


def test_every_table_of_the_real_mirror_is_equal_to_that_of_duckdb(recorded: Path, tmp_path: Path) -> None:
    """On a cluster of its own, whose catalog holds no table of the zone above."""
    if reason := missing():
        pytest.skip(reason)
    with running_spark() as cluster:
        of = {
            target: build(tmp_path / target, recorded, target, cluster.conf, ("4h", "1d")) for target in (DUCKDB, SPARK)
        }
    assert differences(of[DUCKDB], of[SPARK]) == {}
    with duckdb.connect(str(of[SPARK]), read_only=True) as connection:
        sold = "select net_taker_usd from fct_net_taker_volume_daily where bar_date = date '2026-01-31'"
        assert connection.execute(f"{sold} and market_id = 'binance_um:BTCUSDT'").fetchall() == [
            (Decimal("-1598330009.658"),)
        ]
