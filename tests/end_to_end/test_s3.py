"""The whole flow with its storage on a real S3 server: raw zone through boto3, dbt through httpfs, Parquet back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.simulator.simulated import simulate
from tests.support.commands import Taker

LAST_DAY = date(2026, 6, 30)


@pytest.mark.xdist_group("s3")
def test_a_run_on_s3_publishes_what_a_run_on_a_folder_does(seaweedfs: S3Options, s3_url: str, tmp_path: Path) -> None:
    archive = simulate(tmp_path / "archive", last_day=LAST_DAY, days=12, trades_days=7, rows_per_day=500)
    common = {
        "TAKER_MARKETS": ",".join(archive.markets),
        "TAKER_ARCHIVE_URL": archive.root.as_uri(),
        "TAKER_FIRST_DAY": str(archive.first_day),
    }
    days = ("run", "--from", str(archive.first_day), "--to", str(LAST_DAY))
    local = Taker(tmp_path / "local", common)
    remote = Taker(
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
    local.done(*days)
    remote.done(*days)
    everything = "select * from fct_net_taker_volume_hourly order by all"
    assert remote.query(everything) == local.query(everything) != []
    keys = [found.key for found in open_store(s3_url, seaweedfs).list("serving/parquet")]
    assert "serving/parquet/fct_net_taker_volume_hourly/data.parquet" in keys
    secret = str(seaweedfs.secret_access_key)
    leaked = [
        path for path in (tmp_path / "state").rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert leaked == []
