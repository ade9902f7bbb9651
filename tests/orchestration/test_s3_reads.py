"""A faulty S3 under DuckDB's own reads: what passes costs nothing, what stays is an error that is understood.

Whole runs on such a server: tests/torture/test_s3.py. What boto3 reads and writes: tests/ingestion/test_s3_faults.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from orchestration.config.settings import Settings, load_settings
from orchestration.config.storage import Storage
from orchestration.resources import WarehouseResource
from orchestration.warehouse import s3_reads
from orchestration.warehouse.profile import profile
from orchestration.warehouse.s3_reads import PATIENCE, failed_read, failed_read_sentence
from tests.support.s3_proxy import S3Proxy

pytestmark = pytest.mark.xdist_group("s3")

STATED = {
    "busy": "HTTP 503 for HTTP HEAD",
    "expired": "403 Forbidden.*ExpiredToken: The provided token has expired",
    "refuses": "no headers, no data",
    "silent": "Timeout was reached",
    "cuts the answer": "partial file",
}


@pytest.fixture
def proxy(seaweedfs: S3Options) -> Iterator[S3Proxy]:
    with S3Proxy(str(seaweedfs.endpoint_url)).running() as running:
        yield running


@pytest.fixture
def settings(
    proxy: S3Proxy, seaweedfs: S3Options, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Storage behind the proxy, with the patience of production in fractions of a second."""
    monkeypatch.setattr(s3_reads, "PATIENCE", PATIENCE | {"http_timeout": 1, "http_retry_wait_ms": 1})
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("AWS_REGION", str(seaweedfs.region))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(seaweedfs.access_key_id))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(seaweedfs.secret_access_key))
    return load_settings(storage_url=s3_url, state_dir=str(tmp_path / "state"))


@pytest.fixture
def reading(settings: Settings, seaweedfs: S3Options, tmp_path: Path) -> Iterator[Callable[[], int]]:
    """What the sum of a stored column is, as a build reads it."""
    pq.write_table(pa.table({"a": range(50_000)}), tmp_path / "file.parquet")
    store = open_store(settings.storage_url, seaweedfs)
    store.put_file("raw/file.parquet", tmp_path / "file.parquet")
    with WarehouseResource(settings.dbt).open_raw() as connection:

        def read() -> int:
            found = connection.execute(f"select sum(a) from '{store.url('raw/file.parquet')}'").fetchone()
            assert found is not None
            return int(found[0])

        yield read


@pytest.mark.parametrize("fault", ["busy", "refuses"])
def test_a_fault_that_passes_costs_a_build_nothing(proxy: S3Proxy, reading: Callable[[], int], fault: str) -> None:
    proxy.fails(fault, times=5)
    assert reading() == sum(range(50_000))
    assert proxy.times == 0


@pytest.mark.parametrize("fault", STATED)
def test_a_fault_that_stays_is_an_error_that_is_understood_and_never_fewer_rows(
    proxy: S3Proxy, reading: Callable[[], int], settings: Settings, fault: str
) -> None:
    proxy.fails(fault, applies=lambda method, path: fault != "cuts the answer" or method == "GET")
    with pytest.raises(duckdb.Error) as failed:
        reading()
    reason = failed_read(f"Runtime Error in model stg_trades (models/staging)\n  {failed.value}\n  compiled code")
    assert reason is not None
    assert re.search(STATED[fault], reason), reason
    assert "\n" not in reason
    sentence = failed_read_sentence("warehouse", settings.storage_url, reason)
    assert f"warehouse: {settings.storage_url} failed while it was read: " in sentence
    assert "nothing of this build is published" in sentence
    assert "run the same command again" in sentence
    proxy.heals()
    assert reading() == sum(range(50_000))


@pytest.mark.parametrize(
    "text", ["IO Error: Could not set lock on file", "Conversion Error: HTTP", "Binder Error: column a is missing"]
)
def test_other_errors_are_not_taken_for_one_of_the_bucket(text: str) -> None:
    assert failed_read(text) is None


def test_dbt_is_as_patient(settings: Settings) -> None:
    options = profile(settings.dbt)["taker"]["outputs"]["duckdb"]["settings"]
    assert {name: options[name] for name in PATIENCE} == PATIENCE
    assert (
        "http_retries"
        not in profile(replace(settings.dbt, storage=Storage("/folder")))["taker"]["outputs"]["duckdb"]["settings"]
    )
