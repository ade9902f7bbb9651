"""Storage whose receipts have a former name is read as it is, and renamed by the next update of the index.

Belongs here: both names, in every state that a kill leaves, in a folder and on S3. Does not: what the index has of a
receipt (`test_index`), what a damaged object is (`test_soundness`).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ingestion.raw.names import FORMER_RECEIPT, RECEIPT, by_present_key, rename, stored_receipt
from ingestion.raw.s3 import S3Options, S3Store
from ingestion.raw.store import LocalStore, ObjectStore, StoredObject
from ingestion.raw.stores import open_store
from ingestion.raw.verify import verify
from ingestion.raw.zone import RawZone
from tests.ingestion.test_index import an_object, put
from tests.support.former_receipts import as_formerly
from tests.support.interrupted import Killed, KilledStore

EVERY_STORE = ["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))]
DAYS = 3
OBJECTS = [an_object(market, day) for market in range(3) for day in range(DAYS)]


@pytest.fixture(params=EVERY_STORE)
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> RawZone:
    """A zone with its tables, and nine receipts of the former name."""
    if request.param == "folder":
        store = open_store(tmp_path / "store")
    else:
        options: S3Options = request.getfixturevalue("seaweedfs")
        store = open_store(request.getfixturevalue("s3_url"), options)
    return as_formerly(filled(store))


def filled(store: ObjectStore) -> RawZone:
    zone = RawZone(store)
    for market in range(3):
        for day in range(DAYS):
            put(zone, an_object(market, day), f"{market} {day}".encode())
    zone.write_index()
    return zone


def names(store: ObjectStore) -> set[str]:
    """What the receipts of the zone are called."""
    return {found.key.rpartition("/")[2] for found in store.list("raw") if found.key.endswith("receipt.json")}


def facts(index: pa.Table) -> list[dict[str, Any]]:
    """The index without the versions that a store gave."""
    return list(index.drop_columns(["receipt_version"]).to_pylist())


def test_reading_gives_what_it_gives_of_renamed_receipts_and_changes_nothing(zone: RawZone) -> None:
    before = zone.store.list()
    assert names(zone.store) == {"receipt.json"}
    index, defects = zone.as_of_now()
    assert [zone.receipt(each) is not None for each in OBJECTS] == [True] * len(OBJECTS)
    assert [len(zone.history(each)) for each in OBJECTS] == [1] * len(OBJECTS)
    assert (verify(zone.store).objects, verify(zone.store).faults) == (9, ())
    assert not zone.index_is_current()
    assert zone.store.list() == before
    zone.write_index()
    assert (facts(index), defects) == (facts(zone.index()), zone.defects())


def test_what_was_lost_under_the_former_name_is_reported_before_it_is_renamed(zone: RawZone) -> None:
    lost, torn = OBJECTS[0], OBJECTS[1]
    zone.store.delete(lost.data_key)
    zone.store.put_bytes(torn.folder + FORMER_RECEIPT, b"{")
    index, defects = zone.as_of_now()
    assert index["status"].to_pylist().count("damaged") == 1
    assert [each["source_key"] for each in defects.to_pylist()] == [lost.data_key]
    assert [fault.key for fault in verify(zone.store).faults] == [lost.data_key, torn.folder + FORMER_RECEIPT]
    half = zone.store.get_bytes(lost.folder + FORMER_RECEIPT) or b""
    zone.store.put_bytes(lost.receipt_key, half)
    zone.store.delete(lost.folder + FORMER_RECEIPT)
    assert zone.as_of_now()[0]["status"].to_pylist().count("damaged") == 1


def test_the_next_update_renames_every_receipt_once_and_states_so(zone: RawZone) -> None:
    notices: list[str] = []
    contents = {each.folder: stored_receipt(zone.store, each.folder) for each in OBJECTS}
    index = zone.write_index(notice=notices.append)
    assert [text.partition(" from ")[0] for text in notices] == ["9 receipts were renamed"]
    assert names(zone.store) == {"_receipt.json"}
    for each in OBJECTS:
        assert stored_receipt(zone.store, each.folder) == (each.receipt_key, (contents[each.folder] or ("", b""))[1])
    assert set(index["receipt_key"].to_pylist()) == {each.receipt_key for each in OBJECTS}
    assert index["status"].to_pylist() == ["stored"] * len(OBJECTS)
    assert zone.index_is_current()
    written = zone.store.list()
    assert zone.write_index(notice=notices.append) == index
    assert (len(notices), zone.store.list()) == (1, written)


class StoppedS3(S3Store):
    """Ends after its `after`-th change, as a killed process does."""

    def __init__(self, store: S3Store, after: int) -> None:
        super().__init__(store.bucket, store.prefix.strip("/"), store._options)
        self._left, self._turn = after, threading.Lock()

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        with self._turn:
            self._count()
            return super().put_bytes(key, payload, only_if_absent=only_if_absent, durable=durable)

    def replace_bytes(self, key: str, payload: bytes, version: str | None) -> bool:
        with self._turn:
            self._count()
            return super().replace_bytes(key, payload, version)

    def delete(self, key: str) -> None:
        with self._turn:
            self._count()
            super().delete(key)

    def _count(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1


@pytest.mark.parametrize("torn", [False, True])
def test_a_kill_after_any_step_leaves_every_receipt_and_the_next_update_goes_on(zone: RawZone, torn: bool) -> None:
    store = zone.store
    if torn and not isinstance(store, LocalStore):
        pytest.skip("S3 knows no half of an object")
    expected = facts(RawZone(store).as_of_now()[0])
    after, ended = 0, False
    while not ended:
        after += 1 if isinstance(store, LocalStore) else 6  # where S3 takes seconds to prepare it again
        as_formerly(zone)
        killed = (
            KilledStore(store.root, after=after, torn=torn)
            if isinstance(store, LocalStore)
            else StoppedS3(store, after - 1)  # type: ignore[arg-type]
        )
        try:
            RawZone(killed).write_index()
            ended = True
        except Killed:
            assert all(zone.receipt(each) is not None for each in OBJECTS)
            assert facts(zone.as_of_now()[0]) == expected
            assert verify(store).faults == ()
        zone.write_index()
        assert names(store) == {"_receipt.json"}
        assert facts(zone.index()) == expected
        assert zone.index_is_current()
    assert after > 2 * len(OBJECTS)


def test_a_renaming_that_was_killed_between_two_steps_is_finished(zone: RawZone) -> None:
    both = OBJECTS[0]
    zone.store.put_bytes(both.receipt_key, zone.store.get_bytes(both.folder + FORMER_RECEIPT) or b"")
    zone.write_index()
    assert names(zone.store) == {"_receipt.json"}


@pytest.mark.xdist_group("s3")
def test_a_former_name_beside_the_present_one_is_found_where_everything_is_listed(
    seaweedfs: S3Options, s3_url: str
) -> None:
    zone = filled(open_store(s3_url, seaweedfs))
    assert zone.index_is_current()
    zone.store.put_bytes(OBJECTS[0].folder + FORMER_RECEIPT, b"{}")
    assert not zone.index_is_current()
    zone.write_index()
    assert zone.index_is_current()
    assert names(zone.store) == {"_receipt.json"}


def test_what_another_writer_stored_meanwhile_is_not_replaced(zone: RawZone) -> None:
    object_id = OBJECTS[0]
    held = zone.receipt(object_id)
    assert held is not None
    later = replace(held, rows=8, known_at=datetime(2024, 7, 1, tzinfo=UTC)).to_json()
    read, put_bytes = zone.store.get_bytes, zone.store.put_bytes

    def read_before_it_is_stored(key: str) -> bytes | None:
        payload = read(key)
        if key == object_id.folder + FORMER_RECEIPT:
            put_bytes(object_id.receipt_key, later)
        return payload

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone.store, "get_bytes", read_before_it_is_stored)
        rename(zone.store, [object_id.folder + FORMER_RECEIPT])
    assert stored_receipt(zone.store, object_id.folder) == (object_id.receipt_key, later)
    assert zone.store.get_bytes(object_id.folder + FORMER_RECEIPT) is None


def test_an_object_that_is_stored_again_has_one_receipt_and_its_history(zone: RawZone) -> None:
    object_id = OBJECTS[0]
    held = zone.receipt(object_id)
    assert held is not None
    sources = (replace(held.sources[0], sha256="1" * 64),)
    corrected = replace(held, sources=sources, known_at=held.known_at + timedelta(1))
    stored = zone.put(object_id, None, corrected)
    assert stored.revision == held.revision + 1
    assert zone.history(object_id) == [held, stored]
    assert zone.store.get_bytes(object_id.folder + FORMER_RECEIPT) is None


def test_an_object_that_is_set_aside_has_no_receipt_of_either_name(zone: RawZone) -> None:
    object_id = OBJECTS[0]
    payload = zone.store.get_bytes(object_id.folder + FORMER_RECEIPT)
    zone.store.put_bytes(object_id.receipt_key, payload or b"")
    zone.set_aside(object_id)
    assert zone.receipt(object_id) is None
    kept = [found.key.rpartition("-")[2] for found in zone.store.list(f"{object_id.folder}/set_aside")]
    assert sorted(kept) == ["data.parquet", "receipt.json"]


def test_a_receipt_that_was_restored_from_an_old_copy_is_found(zone: RawZone) -> None:
    restored = OBJECTS[0]
    payload = zone.store.get_bytes(restored.folder + FORMER_RECEIPT) or b""
    zone.write_index()
    zone.store.delete(restored.receipt_key)
    assert zone.write_index().num_rows == len(OBJECTS) - 1
    zone.store.put_bytes(restored.folder + FORMER_RECEIPT, payload)
    assert not zone.index_is_current()
    assert zone.write_index().num_rows == len(OBJECTS)
    zone.store.delete(restored.receipt_key)
    zone.store.put_bytes(restored.folder + FORMER_RECEIPT, payload)
    assert not zone.index_is_current()
    assert zone.write_index().num_rows == len(OBJECTS)
    assert names(zone.store) == {"_receipt.json"}


def test_a_receipt_that_is_renamed_between_two_looks_is_read(tmp_path: Path) -> None:
    zone = as_formerly(filled(open_store(tmp_path)))
    folder = OBJECTS[0].folder

    class Renaming(LocalStore):
        def get_bytes(self, key: str) -> bytes | None:
            found = super().get_bytes(key)
            if key == folder + RECEIPT and found is None:
                rename(zone.store, [folder + FORMER_RECEIPT])
            return found

    assert RawZone(Renaming(tmp_path)).receipt(OBJECTS[0]) is not None


def test_listed_receipts_have_the_present_name_whatever_they_are_called() -> None:
    found = {"a/_receipt.json": "1", "a/receipt.json": "2", "b/receipt.json": "3", "b/x.json": "4"}
    listed, former = by_present_key(StoredObject(key, 1, version) for key, version in found.items())
    assert {key: (each.key, each.version) for key, each in listed.items()} == {
        "a/_receipt.json": ("a/_receipt.json", "1"),
        "b/_receipt.json": ("b/_receipt.json", "3"),
        "b/x.json": ("b/x.json", "4"),
    }
    assert former == ["a/receipt.json", "b/receipt.json"]


def test_a_reader_of_whole_folders_finds_data_alone(tmp_path: Path) -> None:
    """pyarrow leaves out what Hive, Spark, Trino and Athena do: names that begin with an underscore or a dot."""
    zone = filled(open_store(tmp_path))
    for each in OBJECTS:
        pq.write_table(pa.table({"price": [1]}), tmp_path / each.data_key)
    files = ds.dataset(tmp_path / "raw" / "aggTrades", format="parquet", partitioning="hive").files
    assert {Path(file).name for file in files} == {"data.parquet"}
    assert len(files) == len(OBJECTS) == pc.count_distinct(zone.index()["receipt_key"]).as_py()
