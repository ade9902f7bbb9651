"""The whole flow with its storage on a real S3 server: raw zone through boto3, dbt through httpfs, Parquet back; and in
a lake whose files are there."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.simulator.simulated import SimulationSummary, simulate
from orchestration.config.storage import Storage
from tests.support.commands import Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.lakes import Look, lake_config, new_catalog, opened_lakes
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.readers import RUN_ID, answers

LAST_DAY = date(2026, 6, 30)

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    folder = tmp_path_factory.mktemp("archive")
    return simulate(folder / "archive", last_day=LAST_DAY, days=12, trades_days=7, rows_per_day=500)


@pytest.fixture(scope="module")
def days(archive: SimulationSummary) -> tuple[str, ...]:
    return ("run", "--from", str(archive.first_day), "--to", str(LAST_DAY))


@pytest.fixture(scope="module")
def common(archive: SimulationSummary) -> dict[str, str]:
    return {
        "TAKER_MARKETS": ",".join(archive.markets),
        "TAKER_ARCHIVE_URL": archive.root.as_uri(),
        "TAKER_FIRST_DAY": str(archive.first_day),
    }


@pytest.fixture(scope="module")
def local(common: dict[str, str], days: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """What a run on a folder publishes."""
    taker = Taker(tmp_path_factory.mktemp("local"), common)
    taker.done(*days)
    return taker


@pytest.fixture
def on_s3(seaweedfs: S3Options, s3_url: str, common: dict[str, str], tmp_path: Path) -> Taker:
    return Taker(
        tmp_path / "state",
        common
        | {
            "TAKER_STORAGE_URL": s3_url,
            "TAKER_STATE_DIR": str(tmp_path / "state"),
            "AWS_ENDPOINT_URL": str(seaweedfs.endpoint_url),
            "AWS_REGION": str(seaweedfs.region),
            "AWS_ACCESS_KEY_ID": str(seaweedfs.access_key_id),
            "AWS_SECRET_ACCESS_KEY": str(seaweedfs.secret_access_key),
        },
    )


def files_with(secret: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_run_on_s3_publishes_what_a_run_on_a_folder_does(
    seaweedfs: S3Options, s3_url: str, local: Taker, on_s3: Taker, days: tuple[str, ...]
) -> None:
    on_s3.done(*days)
    everything = "select * from fct_net_taker_volume_hourly order by all"
    assert on_s3.query(everything) == local.query(everything) != []
    keys = [found.key for found in open_store(s3_url, seaweedfs).list("serving/parquet")]
    assert "serving/parquet/fct_net_taker_volume_hourly/data.parquet" in keys
    assert files_with(str(seaweedfs.secret_access_key), on_s3.storage) == []


def test_a_run_in_a_lake_publishes_what_a_run_on_a_folder_does(
    postgres_server: PostgresServer,
    seaweedfs: S3Options,
    s3_url: str,
    local: Taker,
    on_s3: Taker,
    days: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """Its faults, and a second builder: tests/torture/test_lake_runs.py."""
    catalog = new_catalog(postgres_server)
    on_s3.environment |= {"TAKER_TARGET": "lake", "TAKER_LAKE_CATALOG_URL": catalog}
    on_s3.done(*days)
    storage = Storage(
        s3_url,
        endpoint_url=seaweedfs.endpoint_url,
        region=seaweedfs.region,
        access_key_id=seaweedfs.access_key_id,
        secret_access_key=SecretStr(str(seaweedfs.secret_access_key)),
    )
    lakes = opened_lakes(lake_config(catalog, tmp_path / "looking", storage))
    expected = fingerprints(local.marts)
    assert differences(expected, fingerprints(on_s3.marts)) == []
    assert differences(expected, fingerprints(Look(lakes.published).copied(tmp_path / "copied.duckdb"))) == []
    assert len(Look(lakes.built).snapshots()) == 1
    answered = on_s3.run("sql", "--as-of", "2100-01-01", "select count(*) from fct_net_taker_volume_daily", "--csv")
    assert answered.stdout.splitlines()[1:] == [
        str(local.query("select count(*) from fct_net_taker_volume_daily")[0][0])
    ]
    assert not (on_s3.storage / "warehouse.duckdb").exists()
    assert files_with(PASSWORD, on_s3.storage) == []
    assert_another_machine_reads_it(on_s3, tmp_path / "another")


def assert_another_machine_reads_it(builder: Taker, folder: Path) -> None:
    """One that has an older publication of its own. With a correction between: tests/torture/test_lake_readers.py."""
    reader = Taker(folder, builder.environment | {"TAKER_STATE_DIR": str(folder)})
    reader.marts.parent.mkdir(parents=True)
    with duckdb.connect(str(reader.marts)) as older:
        older.execute("create table publication as select 'older' as run_id")
    ((market, day),) = builder.query("select max(market_id), max(bar_date) from fct_net_taker_volume_daily")
    ((run,),) = builder.query(RUN_ID)
    answered = answers(reader, market, day)  # of which the older one could give none
    assert answered["sql"].splitlines()[1] == answered["report"] == run
    own = reader.run("sql", "--csv", RUN_ID, read_from="machine")
    assert own.stdout.splitlines() == ["run_id", "older"]
    assert "and not from the lake" in own.stderr
    assert "and not from the lake" in reader.run("alerts", "--dry-run", read_from="machine").stderr
