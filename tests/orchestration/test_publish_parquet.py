"""Parquet versions: one manifest to a consistent set, on a folder and on S3 alike."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.domain.errors import StorageError
from ingestion.raw.store import ObjectStore
from ingestion.raw.stores import open_store
from orchestration.warehouse.publish.parquet import LATEST, VERSIONS, VERSIONS_KEPT, version_of
from tests.support.publications import DAILY, MARKETS, NOW, Publisher


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(tmp_path / "storage")
    return open_store(request.getfixturevalue("s3_url"), request.getfixturevalue("seaweedfs"))


@pytest.fixture
def publisher(tmp_path: Path, store: ObjectStore) -> Publisher:
    return Publisher(tmp_path, store)


def latest(store: ObjectStore) -> dict[str, Any]:
    found = store.get_bytes(LATEST)
    assert found is not None
    contents: dict[str, Any] = json.loads(found)
    return contents


def versions(store: ObjectStore) -> list[str]:
    return sorted({found.key.split("/")[2] for found in store.list(VERSIONS)})


def rows_of(store: ObjectStore, key: str, tmp_path: Path) -> list[tuple[Any, ...]]:
    payload = store.get_bytes(key)
    assert payload is not None
    local = tmp_path / "read.parquet"
    local.write_bytes(payload)
    return duckdb.sql(f"from '{local}'").fetchall()


def test_the_manifest_states_when_from_which_run_and_what(publisher: Publisher, store: ObjectStore) -> None:
    published = publisher.publish_days(3)
    contents = latest(store)
    assert contents["version"] == published.version == version_of(NOW) == "20260102T030405.000000Z"
    assert (contents["published_at"], contents["run_id"]) == ("2026-01-02T03:04:05.000000Z", "run-1")
    assert (contents["first_day"], contents["last_day"]) == ("2026-01-01", "2026-01-03")
    assert contents["markets"] == ["simulated:BTCUSDT"]
    assert set(contents["marts"]) == set(published.rows)
    daily = contents["marts"][DAILY]
    assert (daily["rows"], daily["key"], daily["description"]) == (3, ["market_id", "bar_date"], "It's the day")
    assert daily["schema"][2] == {"name": "net_taker_usd", "type": "DECIMAL(38,8)", "description": "buys − sells"}


def test_the_files_it_names_hold_the_rows_and_the_checksums_it_states(
    publisher: Publisher, store: ObjectStore, tmp_path: Path
) -> None:
    publisher.publish_days(3)
    for mart in latest(store)["marts"].values():
        payload = store.get_bytes(f"serving/{mart['file']}")
        assert payload is not None
        assert (len(payload), hashlib.sha256(payload).hexdigest()) == (mart["bytes"], mart["sha256"])
        assert len(rows_of(store, f"serving/{mart['file']}", tmp_path)) == mart["rows"]


def test_each_mart_stays_at_its_stable_place_with_the_newest_rows(
    publisher: Publisher, store: ObjectStore, tmp_path: Path
) -> None:
    publisher.publish_days(3)
    publisher.publish_days(4)
    assert len(rows_of(store, f"serving/parquet/{DAILY}/data.parquet", tmp_path)) == 4


def test_a_reader_that_knows_a_manifest_keeps_its_set_while_others_are_published(
    publisher: Publisher, store: ObjectStore, tmp_path: Path
) -> None:
    publisher.publish_days(3)
    known = latest(store)
    publisher.publish_days(4)
    assert len(rows_of(store, f"serving/{known['marts'][DAILY]['file']}", tmp_path)) == 3
    assert latest(store)["marts"][DAILY]["rows"] == 4


def test_old_versions_are_pruned_to_the_last_few(publisher: Publisher, store: ObjectStore) -> None:
    named = [publisher.publish_days(1).version for _ in range(VERSIONS_KEPT + 2)]
    assert versions(store) == named[-VERSIONS_KEPT:]
    assert latest(store)["version"] == named[-1]


def test_a_failed_publication_changes_no_manifest_and_its_remains_go_with_the_next(
    publisher: Publisher, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher.publish_days(1).version
    put_file = store.put_file

    def fails_at_the_daily_mart(key: str, path: Path) -> None:
        if DAILY in key:
            raise StorageError("the disk is full")
        put_file(key, path)

    with monkeypatch.context() as broken:
        broken.setattr(store, "put_file", fails_at_the_daily_mart)
        with pytest.raises(StorageError):
            publisher.publish_days(2)
    assert latest(store)["version"] == first
    assert len(versions(store)) == 2
    third = publisher.publish_days(3).version
    assert versions(store) == [first, third]


def test_a_folder_keeps_no_empty_folders_of_pruned_versions(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    for _ in range(VERSIONS_KEPT + 2):
        publisher.publish_days(1)
    assert len(list((tmp_path / VERSIONS).iterdir())) == VERSIONS_KEPT
    assert (tmp_path / "serving" / "parquet" / MARKETS / "data.parquet").is_file()
