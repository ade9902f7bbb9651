"""The index of receipts costs what changed, and is what a first reading of every receipt gives.

Belongs here: bringing the index up to date after any change of the zone, and what it looks at for that.
Does not: objects of an older schema (`test_raw_zone`), what damage is (`test_soundness`), what a receipt states.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.domain.periods import Period
from ingestion.raw.ordered import with_rows, without
from ingestion.raw.receipts import Defect, ObjectId, Receipt, Source, readable, receipt_of
from ingestion.raw.soundness import VERIFIED_KEY, VERIFIED_SCHEMA, read_table
from ingestion.raw.store import LocalStore
from ingestion.raw.stores import open_store
from ingestion.raw.tables import COVERAGE_KEY, DEFECTS_KEY, INDEX_KEY
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market

FIRST = date(2024, 1, 1)
MARKETS = [parse_market(f"binance_um:{symbol}") for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
DERIVED = (INDEX_KEY, COVERAGE_KEY, DEFECTS_KEY, VERIFIED_KEY)


def an_object(market: int, day: int) -> ObjectId:
    return ObjectId("aggTrades", MARKETS[market], "", Period.of_day(FIRST + timedelta(days=day)))


def put(zone: RawZone, object_id: ObjectId, payload: bytes, defects: tuple[Defect, ...] = ()) -> None:
    sha256 = hashlib.sha256(payload).hexdigest()
    receipt = receipt_of(
        object_id,
        now=datetime(2024, 6, 1, tzinfo=UTC),
        version=3,
        sources=[Source(f"{object_id}.zip", sha256, len(payload), 7)],
        rows=7,
        stored_bytes=len(payload),
        stored_sha256=sha256,
        defects=defects,
    )
    zone.store.put_bytes(object_id.data_key, payload)
    zone.store.put_bytes(object_id.receipt_key, receipt.to_json())


def a_zone(folder: Path, days: int = 15) -> RawZone:
    zone = RawZone(open_store(folder))
    for market in range(len(MARKETS)):
        for day in range(days):
            put(zone, an_object(market, day), f"{market} {day}".encode())
    return zone


def change(zone: RawZone, draw: random.Random) -> None:
    """Something happens to one object: a day is new, corrected, withdrawn, lost, damaged, torn, or has a defect."""
    object_id = an_object(draw.randrange(len(MARKETS)), draw.randrange(20))
    store, payload = zone.store, draw.randbytes(5)
    happens: list[Any] = [
        lambda: put(zone, object_id, payload),
        lambda: put(
            zone, object_id, payload, (Defect("implausible", "every trade is alike", object_id.period.first_day),)
        ),
        lambda: (store.delete(object_id.receipt_key), store.delete(object_id.data_key)),
        lambda: store.delete(object_id.receipt_key),
        lambda: store.delete(object_id.data_key),
        lambda: store.put_bytes(object_id.data_key, payload),
        lambda: store.put_bytes(object_id.receipt_key, b"{"),
        lambda: store.put_bytes(f"{object_id.folder}/history/before.json", payload),
    ]
    draw.choice(happens)()


@pytest.mark.parametrize("seed", range(3))
def test_after_any_change_it_is_what_every_receipt_together_gives(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.raw.index._READ_IN_A_ROW", 3)
    monkeypatch.setattr("ingestion.raw.index._ROWS_AT_ONCE", 7)
    draw, zone = random.Random(seed), a_zone(tmp_path)
    zone.write_index()
    for _ in range(12):
        for _ in range(draw.randrange(4)):
            change(zone, draw)
        index = zone.write_index()
        tables = index, zone.index(), zone.defects(), zone.coverage()
        # What is damaged or torn is judged anew each time.
        receipts = [each.key for each in zone.store.list("raw") if each.key.endswith("/_receipt.json")]
        is_torn = any(zone.store.get_bytes(key) == b"{" for key in receipts)
        assert zone.index_is_current() == (not is_torn and "damaged" not in index["status"].to_pylist())
        for key in DERIVED:
            zone.store.delete(key)
        assert not zone.index_is_current()
        anew = zone.write_index()
        assert (anew, anew, zone.defects(), zone.coverage()) == tables


def test_a_known_object_costs_a_look_at_two_files_and_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = a_zone(tmp_path)
    zone.write_index()
    put(zone, an_object(1, 20), b"a new day")
    listed: list[str] = []
    read: list[str] = []
    scan, get = os.scandir, LocalStore.get_bytes
    monkeypatch.setattr("ingestion.raw.store.os.scandir", lambda path: listed.append(str(path)) or scan(path))
    monkeypatch.setattr(LocalStore, "get_bytes", lambda self, key: read.append(key) or get(self, key))
    assert zone.write_index().num_rows == 46
    assert [path.rpartition("/")[2] for path in listed if "date=" in path] == ["date=2024-01-21"]
    assert [key for key in read if key not in {*DERIVED, "notes/listed"}] == [an_object(1, 20).receipt_key]


def test_of_a_folder_the_store_may_list_just_the_named_objects(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for key in ("raw/a/data", "raw/a/more", "raw/b/data", "raw/b/more", "raw/c/d/data"):
        store.put_bytes(key, key.encode())
    found = store.list("raw", only={"raw/a": ("data", "absent"), "raw/c/d": ("data",), "raw/gone": ("data",)})
    assert [each.key for each in found] == ["raw/a/data", "raw/b/data", "raw/b/more", "raw/c/d/data"]
    assert found == [each for each in store.list("raw") if each.key != "raw/a/more"]


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, (1 << 20) + (1 << 16), 3 << 20])
def test_the_checksum_of_an_object_is_that_of_all_its_bytes(tmp_path: Path, size: int) -> None:
    store, payload = open_store(tmp_path), random.Random(size).randbytes(size)
    store.put_bytes("k", payload)
    assert store.sha256("k") == hashlib.sha256(payload).hexdigest()


def test_a_receipt_is_accepted_in_any_layout_and_refused_with_any_other_fact(tmp_path: Path) -> None:
    zone = a_zone(tmp_path, days=1)
    payload = zone.store.get_bytes(an_object(0, 0).receipt_key)
    assert payload is not None
    receipt = Receipt.from_json(payload)
    assert receipt.to_json() == payload == json.dumps(json.loads(payload), indent=1, sort_keys=True).encode()
    for layout in (json.dumps(json.loads(payload)).encode(), payload.replace(b"\n", b"\r\n"), payload + b"\n"):
        assert readable(layout) == receipt
    stated = json.loads(payload)["receipt_sha256"].encode()
    line = b'\n "receipt_sha256": "' + stated + b'",'
    for altered in (
        payload.replace(b'"rows": 7', b'"rows": 8', 1),
        payload.replace(stated, b"0" * 64),
        payload.replace(b'"revision": 1', b'"revision": 2'),
        payload.replace(line, line + line.replace(stated, b"1" * 64)),
    ):
        assert altered != payload
        assert readable(altered) is None


def test_a_receipt_with_everything_is_written_as_json_lays_it_out_and_reads_as_it_was(tmp_path: Path) -> None:
    zone, odd = a_zone(tmp_path, days=1), 'two\n lines, "quotes", \\ and 合约'
    put(zone, an_object(0, 0), b"1", (Defect("refused_source", odd, FIRST), Defect("implausible", odd, None, "h", 3)))
    day = zone.receipt(an_object(0, 0))
    assert day is not None
    month = replace(day, period="2024-01", merged=(day, replace(day, sources=())), day_rows={"2024-01-02": 7, odd: 0})
    payload = month.to_json()
    assert payload == json.dumps(json.loads(payload), indent=1, sort_keys=True).encode()
    assert Receipt.from_json(payload) == month


def test_rows_are_put_in_their_places_as_sorting_all_of_them_does() -> None:
    draw = random.Random(7)
    for size in (0, 1, 5, 40):
        for added in (0, 1, 3, 30):
            rows = [{"by": draw.randrange(20), "then": draw.choice("abc"), "at": n} for n in range(size + added)]
            schema = pa.schema([("by", pa.int64()), ("then", pa.string()), ("at", pa.int64())])
            kept, new = (pa.Table.from_pylist(part, schema=schema) for part in (rows[:size], rows[size:]))
            by = [("by", "ascending"), ("then", "ascending")]
            kept = kept.sort_by(by)
            assert with_rows(kept, new, ("by", "then")) == pa.concat_tables([kept, new]).sort_by(by)


def test_rows_are_left_out_by_a_value_and_a_table_without_it_is_not_copied() -> None:
    table = pa.table({"key": ["a", "b", "a", None]})
    assert without(table, "key", {"a", "c"})["key"].to_pylist() == ["b", None]
    assert without(table, "key", {"c"}) is table
    assert without(table, "key", ()) is table


def test_what_a_killed_update_left_of_a_receipt_that_is_gone_since_is_left_out(tmp_path: Path) -> None:
    zone = a_zone(tmp_path, days=2)
    put(zone, an_object(0, 9), b"9", (Defect("implausible", "every trade is alike", an_object(0, 9).period.first_day),))
    zone.write_index()
    with_it = zone.store.get_bytes(DEFECTS_KEY)
    zone.store.delete(an_object(0, 9).receipt_key)
    zone.write_index()
    assert zone.defects().num_rows == 0
    verified = read_table(zone.store.get_bytes(VERIFIED_KEY), VERIFIED_SCHEMA)
    assert verified is not None
    assert an_object(0, 9).data_key not in verified["data_key"].to_pylist()
    zone.store.put_bytes(DEFECTS_KEY, with_it or b"")
    put(zone, an_object(1, 5), b"5")
    zone.write_index()
    assert zone.defects().num_rows == 0
