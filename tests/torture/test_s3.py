"""Promise 7, S3 under whole runs: what DuckDB cannot read during a build is one sentence, nothing is published, and the
next run heals. Single reads: tests/orchestration/test_s3_reads.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ingestion.raw.s3 import S3Options
from ingestion.simulator.simulated import simulate
from tests.support.commands import Taker
from tests.support.s3_proxy import S3Proxy

FIRST, LAST = date(2026, 3, 8), date(2026, 3, 10)
_RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST))
# How DuckDB names itself in its requests; boto3's pass.
_DUCKDB = b"user-agent: duckdb"


@pytest.fixture
def proxy(seaweedfs: S3Options) -> Iterator[S3Proxy]:
    with S3Proxy(str(seaweedfs.endpoint_url)).running() as running:
        yield running


def test_a_bucket_that_fails_during_a_build_is_one_sentence_and_the_next_run_heals(
    fork_server: None, proxy: S3Proxy, seaweedfs: S3Options, s3_url: str, tmp_path: Path
) -> None:
    simulate(tmp_path / "archive", last_day=LAST, days=8, trades_days=7, rows_per_day=240)
    taker = Taker(
        tmp_path / "state",
        {
            "TAKER_ARCHIVE_URL": (tmp_path / "archive").as_uri(),
            "TAKER_MARKETS": "simulated:BTCUSDT",
            "TAKER_STORAGE_URL": s3_url,
            "TAKER_STATE_DIR": str(tmp_path / "state"),
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_REGION": str(seaweedfs.region),
            "AWS_ACCESS_KEY_ID": str(seaweedfs.access_key_id),
            "AWS_SECRET_ACCESS_KEY": str(seaweedfs.secret_access_key),
        },
    )
    proxy.only_from = _DUCKDB
    for fault in ("busy",):
        proxy.fails(fault)
        failed = taker.run(*_RUN)
        print(f"{fault}: exit {failed.returncode}; {failed.stderr[-700:]}", flush=True)
        assert failed.returncode == 1
        assert f"warehouse: {s3_url} failed while it was read: " in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not taker.marts.exists()
    proxy.heals()
    healed = taker.run(*_RUN)
    assert healed.returncode == 0, healed.stderr
    assert taker.query("select count(*) from fct_net_taker_volume_hourly where coverage_ratio = 1") != [(0,)]
