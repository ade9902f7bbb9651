"""Several processes bring the tables of receipts up to date at once, and none of them loses what another wrote.

Belongs here: what the tables hold when all have ended, whichever was interrupted where, in a folder and on S3.
Does not: what one update gives (`test_index`), the lock over a state folder's builds (`tests/orchestration/state`).
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.domain.errors import StorageError
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.raw import index
from ingestion.raw.receipts import Defect, ObjectId, Source, receipt_of
from ingestion.raw.s3 import S3Options
from ingestion.raw.soundness import VERIFIED_KEY
from ingestion.raw.store import ObjectStore
from ingestion.raw.stores import open_store
from ingestion.raw.tables import COVERAGE_KEY, DEFECTS_KEY, INDEX_KEY
from ingestion.raw.zone import RawZone

EVERY_STORE = ["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))]
# In the order in which an update writes them.
TABLES = (VERIFIED_KEY, DEFECTS_KEY, COVERAGE_KEY, INDEX_KEY)
FORK = multiprocessing.get_context("forkserver")
MOST_SECONDS = 120

Where = tuple[str, S3Options | None]


@pytest.fixture(params=EVERY_STORE)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    if request.param == "folder":
        return str(tmp_path / "store"), None
    return request.getfixturevalue("s3_url"), request.getfixturevalue("seaweedfs")


def zone_at(where: Where) -> RawZone:
    return RawZone(open_store(*where))


def an_object(number: int) -> ObjectId:
    """Of the collector: it gives a row to every table."""
    day = Period.of_day(date(2024, 1, 1) + timedelta(days=number))
    return ObjectId("liquidations", Market.whole_venue("binance_um"), "", day)


def put(zone: RawZone, number: int) -> None:
    object_id, payload = an_object(number), b"%d" % number
    day = object_id.period.first_day
    sha256 = hashlib.sha256(payload).hexdigest()
    receipt = receipt_of(
        object_id,
        now=datetime(2024, 6, 1, tzinfo=UTC),
        version=3,
        sources=[Source("spool/x", sha256, 1, 7)],
        stored_bytes=len(payload),
        stored_sha256=sha256,
        covered_minutes={f"{day}T03": 60},
        defects=(Defect("quarantined_rows", "out of range", day, rows=1),),
    )
    zone.store.put_bytes(object_id.data_key, payload)
    zone.store.put_bytes(object_id.receipt_key, receipt.to_json())


def assert_holds(zone: RawZone, numbers: int) -> None:
    """Every table has these objects, and is what an update from nothing gives."""
    assert zone.index().num_rows == numbers
    assert zone.index_is_current()
    tables = [zone.index(), zone.coverage(), zone.defects(), zone.store.get_bytes(VERIFIED_KEY)]
    for key in TABLES:
        zone.store.delete(key)
    zone.write_index()
    assert [zone.index(), zone.coverage(), zone.defects(), zone.store.get_bytes(VERIFIED_KEY)] == tables
    assert [table.num_rows for table in (zone.index(), zone.coverage(), zone.defects())] == [numbers] * 3


def in_a_process(work: Callable[..., None], *arguments: Any) -> Any:
    process = FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: Any) -> int | None:
    process.join(MOST_SECONDS)
    return process.exitcode  # type: ignore[no-any-return]


def _before(store: ObjectStore, key: str, then: Callable[[], None]) -> None:
    """`then` happens once, in the moment before the table is written."""
    write = store.replace_bytes
    happened: list[str] = []

    def replace_bytes(replaced: str, payload: bytes, version: str | None) -> bool:
        if replaced == key and not happened:
            happened.append(key)
            then()
        return write(replaced, payload, version)

    store.replace_bytes = replace_bytes  # type: ignore[method-assign, assignment]


def _slow(where: Where, number: int, pause: str, reached: Any, go_on: Any) -> None:
    """Stores an object and updates the tables, with a pause once it has listed the zone, or before it writes one."""

    def wait() -> None:
        reached.set()
        assert go_on.wait(MOST_SECONDS)

    zone = zone_at(where)
    put(zone, number)
    if pause != "listed":
        _before(zone.store, pause, wait)
    else:
        listing = index._listing
        listed: list[bool] = []

        def paused(*arguments: Any) -> Any:
            found = listing(*arguments)
            if not listed:
                listed.append(True)
                wait()
            return found

        index._listing = paused  # type: ignore[assignment]
    zone.write_index()


def _update(where: Where, first: int, count: int) -> None:
    zone = zone_at(where)
    for number in range(first, first + count):
        put(zone, number)
        zone.write_index()


def _killed(where: Where, number: int, key: str) -> None:
    """Stores an object, and is killed before it writes this table."""
    zone = zone_at(where)
    put(zone, number)
    _before(zone.store, key, lambda: os.kill(os.getpid(), signal.SIGKILL))
    zone.write_index()


@pytest.mark.parametrize("pause", ["listed", *TABLES])
def test_what_another_process_wrote_meanwhile_is_kept(where: Where, pause: str) -> None:
    zone = zone_at(where)
    put(zone, 0)
    zone.write_index()
    reached, go_on = FORK.Event(), FORK.Event()
    slow = in_a_process(_slow, where, 1, pause, reached, go_on)
    assert reached.wait(MOST_SECONDS)
    assert ended(in_a_process(_update, where, 2, 1)) == 0
    go_on.set()
    assert ended(slow) == 0
    assert_holds(zone, 3)


@pytest.mark.parametrize("key", TABLES[1:])
def test_what_a_killed_process_began_is_finished_by_one_that_was_at_work(where: Where, key: str) -> None:
    zone = zone_at(where)
    put(zone, 0)
    zone.write_index()
    reached, go_on = FORK.Event(), FORK.Event()
    slow = in_a_process(_slow, where, 1, "listed", reached, go_on)
    assert reached.wait(MOST_SECONDS)
    assert ended(in_a_process(_killed, where, 2, key)) == -signal.SIGKILL
    go_on.set()
    assert ended(slow) == 0
    if not zone.index_is_current():
        zone.write_index()
    assert_holds(zone, 3)


def test_who_is_outrun_each_time_gives_up_and_states_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_LONGEST_PAUSE", 0.0)
    zone, other = zone_at((str(tmp_path), None)), zone_at((str(tmp_path), None))
    put(zone, 0)
    zone.write_index()
    put(zone, 98)
    write, numbers = zone.store.replace_bytes, iter(range(1, 99))

    def outrun(key: str, payload: bytes, version: str | None) -> bool:
        if key == INDEX_KEY:
            other.write_index()
            put(other, next(numbers))
        return write(key, payload, version)

    monkeypatch.setattr(zone.store, "replace_bytes", outrun)
    with pytest.raises(StorageError, match=r"wrote .*receipts.parquet 16 times .* run the same command again"):
        zone.write_index()
    other.write_index()
    assert_holds(other, 18)


def test_what_is_wrong_is_reported_once_by_an_update_that_was_outrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_LONGEST_PAUSE", 0.0)
    zone, other = zone_at((str(tmp_path), None)), zone_at((str(tmp_path), None))
    put(zone, 0)
    zone.store.put_bytes(INDEX_KEY, b"torn")
    zone.store.delete(an_object(0).data_key)
    notices: list[str] = []

    def outrun() -> None:
        put(other, 1)
        other.write_index()

    _before(zone.store, DEFECTS_KEY, outrun)
    zone.write_index(notice=notices.append)
    assert sorted(text.partition(" ")[0] for text in notices) == ["binance_um:ALL", INDEX_KEY]
    assert sorted(zone.index()["status"].to_pylist()) == ["damaged", "stored"]


def test_a_damaged_table_of_an_empty_zone_is_made_anew(tmp_path: Path) -> None:
    zone = zone_at((str(tmp_path), None))
    zone.store.put_bytes(INDEX_KEY, b"torn")
    notices: list[str] = []
    assert zone.write_index(notice=notices.append).num_rows == 0
    zone.write_index(notice=notices.append)
    assert len(notices) == 1


def test_many_updates_at_once_lose_none(where: Where) -> None:
    writers = [in_a_process(_update, where, 10 * writer, 3) for writer in range(3)]
    assert [ended(writer) for writer in writers] == [0, 0, 0]
    assert_holds(zone_at(where), 9)
