"""A faulty S3: a fault that passes costs nothing, one that stays is a clear error, and never is half an object visible.

A real S3 server behind a proxy that fails on purpose.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import ARCHIVED
from ingestion.domain.errors import StorageError
from ingestion.raw import s3 as s3_store
from ingestion.raw.s3 import S3Options
from ingestion.raw.store import ObjectStore
from ingestion.raw.stores import check_s3, open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, archives_at
from tests.support.s3_proxy import FAULTS, S3Proxy

pytestmark = pytest.mark.xdist_group("s3")

# What a message states of each fault, beside the object and the settings to check.
STATED = {
    "busy": "SlowDown",
    "expired": "ExpiredToken",
    "denied": "AccessDenied",
    "broken": "InternalError",
    "refuses": "closed|reset|connect",
    "silent": "timed? ?out|closed",
    "cuts the request": "closed|reset|connect|timed? ?out",
    "cuts the answer": "closed|reset|incomplete|broken|read|timed? ?out",
    "loses the answer": "closed|reset|timed? ?out",
}
PASSING = ["busy", "silent", "cuts the request", "loses the answer"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience of production in fractions of a second."""
    monkeypatch.setattr(s3_store, "_READ_SECONDS", 0.5)
    monkeypatch.setattr(s3_store, "_ATTEMPTS", 3)
    monkeypatch.setattr(s3_store, "_CHECK_SECONDS", 0.5)
    # boto3 pauses up to a second, then two, between attempts.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, context: 0.01)


@pytest.fixture
def proxy(seaweedfs: S3Options) -> Iterator[S3Proxy]:
    with S3Proxy(str(seaweedfs.endpoint_url)).running() as running:
        yield running


@pytest.fixture
def through(proxy: S3Proxy, seaweedfs: S3Options) -> S3Options:
    return replace(seaweedfs, endpoint_url=proxy.url)


@pytest.fixture
def store(through: S3Options, s3_url: str) -> ObjectStore:
    return open_store(s3_url, through)


@pytest.fixture
def direct(seaweedfs: S3Options, s3_url: str) -> ObjectStore:
    """The same place, without the proxy."""
    return open_store(s3_url, seaweedfs)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_a_clear_error_without_half_an_object_and_heals(
    proxy: S3Proxy, store: ObjectStore, direct: ObjectStore, fault: str
) -> None:
    payload = b"x" * 300_000
    proxy.fails(fault)
    with pytest.raises(StorageError, match=rf"(?is)cannot write s3://.*k: .*({STATED[fault]}).*AWS_"):
        store.put_bytes("k", payload)
    # What was lost is the answer, not the object: then all of it is there.
    assert direct.get_bytes("k") == (payload if "answer" in fault else None)
    proxy.heals()
    assert store.put_bytes("k", payload)
    assert direct.get_bytes("k") == payload


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_costs_nothing(proxy: S3Proxy, store: ObjectStore, direct: ObjectStore, fault: str) -> None:
    proxy.fails(fault, times=2)
    assert store.put_bytes("k", b"x" * 300_000)
    assert direct.get_bytes("k") == b"x" * 300_000


@pytest.mark.parametrize("fault", ["busy", "cuts the request"])
def test_a_large_file_of_which_a_part_fails_is_not_there(
    proxy: S3Proxy, store: ObjectStore, direct: ObjectStore, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40_000)
    proxy.fails(fault, applies=lambda method, path: "partNumber=2" in path)
    with pytest.raises(StorageError, match="cannot write"):
        store.put_file("large", tmp_path / "large")
    assert direct.list() == []
    proxy.heals()
    store.put_file("large", tmp_path / "large")
    assert direct.get_bytes("large") == (tmp_path / "large").read_bytes()


@pytest.mark.parametrize("fault", ["busy", "expired", "silent", "cuts the answer"])
def test_a_read_that_fails_is_never_taken_for_an_absent_or_shorter_object(
    proxy: S3Proxy, store: ObjectStore, direct: ObjectStore, fault: str
) -> None:
    direct.put_bytes("k", b"x" * 300_000)
    proxy.fails(fault)
    with pytest.raises(StorageError, match="cannot read"):
        store.get_bytes("k")
    with pytest.raises(StorageError, match="cannot list"):
        store.list()
    proxy.heals()
    assert store.get_bytes("k") == b"x" * 300_000


@pytest.mark.parametrize("fault", ["busy", "expired"])
@pytest.mark.parametrize("what", ["data.parquet", "_receipt.json"])
def test_an_object_whose_data_or_receipt_cannot_be_stored_is_not_there_and_the_next_run_stores_it(
    proxy: S3Proxy, store: ObjectStore, direct: ObjectStore, archive_folder: ArchiveFolder, what: str, fault: str
) -> None:
    day = date(2024, 1, 2)
    archive_folder.agg_trades(day)
    archives = archives_at(archive_folder.url)
    tasks = plan(ARCHIVED["aggTrades"], parse_market("binance_um:BTCUSDT"), day, day)
    proxy.fails(fault, applies=lambda method, path: method == "PUT" and what in path)
    (failed,) = ingest(tasks, archives=archives, zone=RawZone(store), now=datetime(2024, 1, 3, tzinfo=UTC))
    assert (failed.status, type(failed.error)) == ("failed", StorageError)
    assert RawZone(direct).receipt(tasks[0].object_id) is None
    proxy.heals()
    (stored,) = ingest(tasks, archives=archives, zone=RawZone(store), now=datetime(2024, 1, 3, tzinfo=UTC))
    assert stored.status == "stored"
    assert RawZone(direct).receipt(tasks[0].object_id) == stored.receipt


class TestBeforeARun:
    """One request, soon answered."""

    @pytest.mark.parametrize("fault", ["expired", "denied", "refuses", "silent"])
    def test_what_would_fail_every_object_is_reported_at_once(
        self, proxy: S3Proxy, through: S3Options, s3_url: str, fault: str
    ) -> None:
        proxy.fails(fault)
        began = time.monotonic()
        with pytest.raises(StorageError, match=rf"(?i)cannot reach s3://.*({STATED[fault]}).*AWS_"):
            check_s3(s3_url, through)
        # Far from boto3's own minute for a connection and another one for an answer, with attempts.
        assert time.monotonic() - began < 30
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize("fault", ["busy", "broken"])
    def test_a_busy_server_is_there(self, proxy: S3Proxy, through: S3Options, s3_url: str, fault: str) -> None:
        proxy.fails(fault)
        check_s3(s3_url, through)

    def test_a_server_that_is_not_there_is_reported(self, s3_url: str, seaweedfs: S3Options) -> None:
        with pytest.raises(StorageError, match="Could not connect to the endpoint"):
            check_s3(s3_url, replace(seaweedfs, endpoint_url="http://127.0.0.1:1"))
