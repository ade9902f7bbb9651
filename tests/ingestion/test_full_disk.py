"""Promise 7, the full disk: at download and raw write. Build and publication: tests/torture/test_full_disk.py."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.archive import ingest
from ingestion.domain.errors import StorageError
from ingestion.raw.store import LocalStore
from ingestion.raw.zone import RawZone
from tests.support.archives import ArchiveFolder, archives_at
from tests.support.histories import (
    DAYS,
    NOON,
    ingested,
    parquet_of,
    put_klines,
    put_trades,
    tasks_of,
    untrue_receipts,
)
from tests.support.killing import torn_objects
from tests.support.small_disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "2m") as disk:
        yield disk


@pytest.fixture
def full_archive(archive_folder: ArchiveFolder) -> ArchiveFolder:
    for day in DAYS:
        put_trades(archive_folder, day, 1)
        put_klines(archive_folder, day, 1)
    return archive_folder


@pytest.mark.parametrize("free", [0, 20_000])
def test_a_full_disk_at_the_raw_write_is_one_sentence_and_heals_when_there_is_room(
    full_archive: ArchiveFolder, disk: SmallDisk, tmp_path: Path, free: int
) -> None:
    store = LocalStore(disk.folder / "store")
    disk.fill(but=free)
    tasks = tasks_of(DAYS[0], DAYS[-1])
    outcomes = ingest(tasks, archives=archives_at(full_archive.url), zone=RawZone(store), now=NOON, workers=1)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failed
    for outcome in failed:
        assert isinstance(outcome.error, StorageError)
        assert "No space left on device" in str(outcome.error)
        assert "not full" in str(outcome.error)
        assert str(disk.folder) in str(outcome.error)
    assert torn_objects(store) == []
    assert len(untrue_receipts(store)) <= len(failed)
    assert list(store.root.rglob(".*.part")) == []

    disk.make_room()
    ingested(full_archive, store, DAYS[0], DAYS[-1], NOON)
    ingested(full_archive, LocalStore(tmp_path / "fresh"), DAYS[0], DAYS[-1], NOON)
    assert parquet_of(store) == parquet_of(LocalStore(tmp_path / "fresh"))
    assert untrue_receipts(store) == []


def test_a_full_disk_at_the_download_names_the_file_and_what_is_free(
    full_archive: ArchiveFolder, disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    disk.fill()
    zone = RawZone(LocalStore(tmp_path / "store"))
    tasks = tasks_of(DAYS[0], DAYS[0])
    outcomes = ingest(tasks, archives=archives_at(full_archive.url), zone=zone, now=NOON, workers=1)
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert "No space left on device (0 MiB free)" in str(outcomes[0].error)
    assert zone.store.list("raw") == []
    assert [path.name for path in disk.folder.iterdir()] == [".filler"]
    disk.make_room()
    outcomes = ingest(tasks, archives=archives_at(full_archive.url), zone=zone, now=NOON, workers=1)
    assert {outcome.status for outcome in outcomes} == {"stored"}
