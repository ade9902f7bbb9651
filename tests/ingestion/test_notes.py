"""An index that is brought up to date with what writers have noted is the one that a listing of everything gives.

Belongs here: what is listed and what not. Does not: what an update makes of what it lists
(`test_index`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.periods import Period
from ingestion.raw import notes
from ingestion.raw.notes import KEPT, LISTED_EVERY, part_of
from ingestion.raw.receipts import ObjectId, Source, receipt_of
from ingestion.raw.s3 import S3Options
from ingestion.raw.soundness import VERIFIED_KEY
from ingestion.raw.store import NOTHING, LocalStore, StoredObject
from ingestion.raw.stores import open_store
from ingestion.raw.tables import INDEX_KEY
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(notes, "utc_now", clock)
    monkeypatch.setattr("ingestion.raw.index.utc_now", clock)
    return clock


class Listed(LocalStore):
    """A folder that remembers what was listed of the raw zone."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.wholly, self.parts = 0, list[str]()

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = NOTHING) -> list[StoredObject]:
        self.wholly += prefix == "raw"
        return super().list(prefix, only=only)

    def list_beginning(self, text: str) -> Sequence[StoredObject]:
        self.parts.append(text)
        return super().list_beginning(text)


@pytest.fixture
def store(tmp_path: Path) -> Listed:
    return Listed(tmp_path / "storage")


def noted_zone(store: LocalStore) -> RawZone:
    return RawZone(store, only_noted=True)


def put(zone: RawZone, tmp_path: Path, day: date, symbol: str = "BTCUSDT", text: str = "") -> ObjectId:
    """An object of the archive, of a day; `text` distinguishes its bytes."""
    payload = f"{symbol} {day} {text}".encode()
    data = tmp_path / "data"
    data.write_bytes(payload)
    object_id = ObjectId("aggTrades", parse_market(f"binance_um:{symbol}"), "", Period.of_day(day))
    sha256 = hashlib.sha256(payload).hexdigest()
    sources = [Source(f"{object_id}.zip", sha256, 9, 1)]
    zone.put(object_id, data, receipt_of(object_id, now=NOW, version=3, sources=sources, data=data))
    return object_id


def as_from_nothing(zone: RawZone) -> bool:
    """Whether all tables are those of an update that lists everything and knows nothing."""
    keys = [INDEX_KEY, VERIFIED_KEY, "raw/coverage.parquet", "raw/defects.parquet"]
    before = {key: zone.store.get_bytes(key) for key in keys}
    for key in keys:
        zone.store.delete(key)
    RawZone(zone.store).write_index()
    return {key: zone.store.get_bytes(key) for key in keys} == before


def test_a_part_is_a_month_of_a_dataset_of_a_market() -> None:
    months = {part_of(f"raw/aggTrades/venue=v/symbol=S/date=2024-08-{day:02}/_receipt.json") for day in (1, 31)}
    assert months == {"raw/aggTrades/venue=v/symbol=S/date=2024-08"}
    klines = "raw/klines/venue=v/symbol=S/interval=1h/month=2024-08"
    assert part_of(f"{klines}/data.parquet") == part_of(klines) == klines


def test_only_months_in_which_something_was_stored_are_listed(store: Listed, tmp_path: Path, clock: Clock) -> None:
    zone = noted_zone(store)
    for month in (7, 8, 9):
        for symbol in ("BTCUSDT", "ETHUSDT"):
            put(zone, tmp_path, date(2026, month, 1), symbol)
    assert zone.write_index().num_rows == 6  # the first one lists everything
    clock.now += KEPT + timedelta(minutes=1)
    zone.write_index()  # and the notes of before are listed once more
    store.wholly, store.parts = 0, []
    assert zone.write_index().num_rows == 6
    assert (store.wholly, store.parts) == (0, [])
    put(noted_zone(store), tmp_path, date(2026, 8, 2))
    assert not zone.index_is_current()
    assert zone.write_index().num_rows == 7
    assert zone.index_is_current()
    assert (store.wholly, set(store.parts)) == (0, {"raw/aggTrades/venue=binance_um/symbol=BTCUSDT/date=2026-08"})
    assert as_from_nothing(zone)


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 80), st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.integers(0, 2)),
            st.tuples(st.just("set aside"), st.integers(0, 80), st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.just(0)),
            st.tuples(st.just("update"), st.integers(0, 600), st.just(""), st.just(0)),
        ),
        max_size=14,
    )
)
def test_any_history_of_writers_and_updates_ends_as_a_listing_of_everything(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    clock = Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(notes, "utc_now", clock)
        patched.setattr("ingestion.raw.index.utc_now", clock)
        store = LocalStore(folder / "storage")
        reader, writer = noted_zone(store), noted_zone(store)
        put(writer, folder, date(2026, 6, 30))
        reader.write_index()
        for what, number, symbol, text in history:
            if what == "update":
                reader.write_index()
                clock.now += timedelta(minutes=number)
                continue
            day = date(2026, 7, 1) + timedelta(days=number)
            if what == "put":
                put(writer, folder, day, symbol, str(text))
            else:
                writer.set_aside(ObjectId("aggTrades", parse_market(f"binance_um:{symbol}"), "", Period.of_day(day)))
        reader.write_index()
        assert as_from_nothing(reader)


def test_a_writer_that_stores_its_object_after_an_update_has_read_its_note_is_not_overlooked(
    store: Listed, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(noted_zone(store), tmp_path, date(2026, 7, 1))
    zone = noted_zone(store)
    zone.write_index()
    slow, puts = noted_zone(store), store.put_file

    def put_file(key: str, path: Path, *, durable: bool = False) -> None:
        monkeypatch.setattr(store, "put_file", puts)
        assert zone.write_index().num_rows == 1  # it sees the note, and no object
        clock.now += KEPT - timedelta(minutes=1)
        zone.write_index()
        puts(key, path, durable=durable)

    monkeypatch.setattr(store, "put_file", put_file)
    put(slow, tmp_path, date(2026, 8, 1))
    assert zone.write_index().num_rows == 2
    assert as_from_nothing(zone)


def test_what_nothing_noted_is_found_once_a_week(store: Listed, tmp_path: Path, clock: Clock) -> None:
    zone = noted_zone(store)
    lost = put(zone, tmp_path, date(2026, 7, 1))
    zone.write_index()
    clock.now += KEPT + timedelta(minutes=1)
    zone.write_index()
    store.delete(lost.data_key)
    assert zone.write_index()["status"].to_pylist() == ["stored"]
    clock.now += LISTED_EVERY
    assert not zone.index_is_current()
    assert zone.write_index()["status"].to_pylist() == ["damaged"]


def test_an_object_that_is_set_aside_is_noted_too(store: Listed, tmp_path: Path, clock: Clock) -> None:
    zone = noted_zone(store)
    put(zone, tmp_path, date(2026, 6, 1))
    gone = put(zone, tmp_path, date(2026, 7, 1))
    zone.write_index()
    clock.now += KEPT + timedelta(minutes=1)
    zone.write_index()
    noted_zone(store).set_aside(gone)
    assert zone.write_index().num_rows == 1
    assert as_from_nothing(zone)


def test_a_full_refresh_and_a_table_that_is_missing_list_everything(
    store: Listed, tmp_path: Path, clock: Clock
) -> None:
    zone = noted_zone(store)
    put(zone, tmp_path, date(2026, 7, 1))
    zone.write_index()
    for cause in ("rehashes", VERIFIED_KEY, INDEX_KEY):
        store.wholly = 0
        if cause == "rehashes":
            zone.write_index(rehashes=True)
        else:
            store.delete(cause)
            zone.write_index()
        assert store.wholly > 0, cause


@pytest.mark.xdist_group("s3")
def test_in_a_bucket_it_is_the_same(s3_url: str, seaweedfs: S3Options, tmp_path: Path, clock: Clock) -> None:
    zone = RawZone(open_store(s3_url, seaweedfs), only_noted=True)
    for day in (date(2026, 7, 1), date(2026, 8, 1)):
        put(zone, tmp_path, day)
        zone.write_index()
    clock.now += KEPT + timedelta(minutes=1)
    put(RawZone(open_store(s3_url, seaweedfs), only_noted=True), tmp_path, date(2026, 8, 1), text="corrected")
    assert sorted(zone.write_index()["revision"].to_pylist()) == [1, 2]
    assert len(zone.store.list("notes/stored")) == 1
    assert as_from_nothing(zone)
