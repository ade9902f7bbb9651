"""Objects stored under an older schema are rewritten under the current one: exactly, once, safe to interrupt."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.domain.datasets import AGG_TRADES, DATASETS, LIQUIDATIONS, REST_TRADES, Dataset
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.raw.receipts import sha256_of
from ingestion.raw.stores import open_store
from ingestion.raw.zone import ObjectId, RawZone, Receipt
from ingestion.venues import parse_market

DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD_PRICE = pa.decimal128(18, 8)
BITCOIN = parse_market("binance_um:BTCUSDT")
VENUE = Market.whole_venue("binance_um")
OBJECTS = {
    AGG_TRADES: ObjectId(AGG_TRADES.name, BITCOIN, "", Period.of_day(DAY)),
    REST_TRADES: ObjectId(REST_TRADES.name, BITCOIN, "", Period.of_day(DAY)),
    LIQUIDATIONS: ObjectId(LIQUIDATIONS.name, VENUE, "", Period.of_day(DAY)),
}


def some_row(dataset: Dataset) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for field in dataset.schema:
        if pa.types.is_decimal(field.type):
            row[field.name] = Decimal("0.00000007")
        elif pa.types.is_timestamp(field.type):
            row[field.name] = NOON
        elif pa.types.is_boolean(field.type):
            row[field.name] = True
        else:
            row[field.name] = "1000SHIB" if pa.types.is_string(field.type) else 7
    return row


def store_as_before(zone: RawZone, object_id: ObjectId, folder: Path) -> Receipt:
    """The object with the types and the receipt that the version before gave it."""
    dataset = DATASETS[object_id.dataset]
    narrow = [
        field.with_type(OLD_PRICE) if "price" in field.name or field.name == "quantity" else field
        for field in dataset.schema
        if field.name != "base_multiplier"
    ]
    path = folder / "before.parquet"
    pq.write_table(pa.Table.from_pylist([some_row(dataset)], schema=pa.schema(narrow)), path)
    receipt = Receipt(
        dataset.name, object_id.market.venue, object_id.market.symbol, "", str(object_id.period.label), "stored",
        DAY, DAY, NOON, 1, rows=1, day_rows={DAY.isoformat(): 1}, stored_bytes=path.stat().st_size,
        stored_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )  # fmt: skip
    zone.put(object_id, path, receipt)
    written = json.loads(zone.store.get_bytes(object_id.receipt_key) or b"")
    del written["schema_version"], written["receipt_sha256"]
    zone.store.put_bytes(object_id.receipt_key, json.dumps(written).encode())
    return receipt


def stored_types(zone: RawZone, object_id: ObjectId) -> pa.Schema:
    payload = zone.store.get_bytes(object_id.data_key)
    assert payload is not None
    return pq.read_schema(pa.BufferReader(payload))


def everything(zone: RawZone) -> dict[str, bytes | None]:
    return {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw")}


@pytest.fixture
def zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "var"))


@pytest.mark.parametrize("dataset", OBJECTS, ids=lambda dataset: dataset.name)
def test_an_object_of_an_older_schema_is_rewritten_without_loss(
    zone: RawZone, tmp_path: Path, dataset: Dataset
) -> None:
    object_id = OBJECTS[dataset]
    before = store_as_before(zone, object_id, tmp_path)
    assert stored_types(zone, object_id).field("price").type == OLD_PRICE
    zone.write_index()
    assert stored_types(zone, object_id).equals(dataset.schema)
    (row,) = zone.rows(object_id).to_pylist()
    assert (row["price"], row["quantity"]) == (Decimal("0.00000007"), Decimal("0.00000007"))
    receipt, payload = zone.receipt(object_id), zone.store.get_bytes(object_id.data_key)
    assert receipt is not None
    assert payload is not None
    assert (receipt.stored_sha256, receipt.stored_bytes) == (hashlib.sha256(payload).hexdigest(), len(payload))
    assert (receipt.known_at, receipt.revision, receipt.rows) == (before.known_at, 1, 1)
    assert zone.history(object_id) == [receipt]
    assert zone.index()["stored_sha256"].to_pylist() == [receipt.stored_sha256]


def test_liquidations_of_a_thousand_shib_become_liquidations_of_shib(zone: RawZone, tmp_path: Path) -> None:
    store_as_before(zone, OBJECTS[LIQUIDATIONS], tmp_path)
    zone.write_index()
    (row,) = zone.rows(OBJECTS[LIQUIDATIONS]).to_pylist()
    assert (row["base_asset"], row["base_multiplier"]) == ("SHIB", 1000)


def test_it_is_done_once_and_costs_nothing_after(
    zone: RawZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for object_id in OBJECTS.values():
        store_as_before(zone, object_id, tmp_path)
    zone.write_index()
    after = everything(zone)
    read: list[str] = []
    get_bytes = zone.store.get_bytes
    monkeypatch.setattr(zone.store, "get_bytes", lambda key: (read.append(key), get_bytes(key))[1])
    zone.write_index()
    assert [key for key in read if key.endswith(("data.parquet", "receipt.json"))] == []
    monkeypatch.undo()
    assert everything(zone) == after


@pytest.mark.parametrize("dataset", OBJECTS, ids=lambda dataset: dataset.name)
def test_a_kill_between_the_data_and_its_receipt_heals(
    zone: RawZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Dataset
) -> None:
    object_id = OBJECTS[dataset]
    whole = RawZone(open_store(tmp_path / "other"))
    for each in (zone, whole):
        store_as_before(each, object_id, tmp_path)
    whole.write_index()
    put_bytes = zone.store.put_bytes

    def killed(key: str, payload: bytes, **options: Any) -> bool:
        if key == object_id.receipt_key:
            raise KeyboardInterrupt
        return put_bytes(key, payload, **options)

    monkeypatch.setattr(zone.store, "put_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        zone.write_index()
    monkeypatch.undo()
    assert stored_types(zone, object_id).equals(dataset.schema)
    zone.write_index()
    assert zone.receipt(object_id) == whole.receipt(object_id)
    assert zone.store.get_bytes(object_id.data_key) == whole.store.get_bytes(object_id.data_key)
    assert zone.index()["stored_sha256"].to_pylist() == whole.index()["stored_sha256"].to_pylist()


def test_an_object_that_is_replaced_meanwhile_is_left_as_it_is(
    zone: RawZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    object_id = OBJECTS[AGG_TRADES]
    before = store_as_before(zone, object_id, tmp_path)
    newer = tmp_path / "newer.parquet"
    row = some_row(AGG_TRADES) | {"price": Decimal(5)}
    pq.write_table(pa.Table.from_pylist([row], schema=AGG_TRADES.schema), newer)
    get_bytes = zone.store.get_bytes

    def replaced_while_reading(key: str) -> bytes | None:
        payload = get_bytes(key)
        if key == object_id.data_key:
            monkeypatch.undo()
            size = newer.stat().st_size
            zone.put(object_id, newer, replace(before, stored_bytes=size, stored_sha256=sha256_of(newer)))
        return payload

    monkeypatch.setattr(zone.store, "get_bytes", replaced_while_reading)
    zone.write_index()
    assert zone.rows(object_id)["price"].to_pylist() == [5]


def test_an_engine_that_takes_the_types_of_the_first_file_reads_all_of_them_exactly(
    zone: RawZone, tmp_path: Path
) -> None:
    store_as_before(zone, OBJECTS[AGG_TRADES], tmp_path)
    fine = Decimal("0.000000012651")
    later = tmp_path / "later.parquet"
    row = some_row(AGG_TRADES) | {"price": fine}
    pq.write_table(pa.Table.from_pylist([row], schema=AGG_TRADES.schema), later)
    receipt = Receipt(AGG_TRADES.name, "binance_um", "BTCUSDT", "", "2026-03-02", "stored", NEXT_DAY, NEXT_DAY, NOON, 1)
    zone.put(ObjectId(AGG_TRADES.name, BITCOIN, "", Period.of_day(NEXT_DAY)), later, receipt)
    query = f"select price from read_parquet('{zone.url}/aggTrades/*/*/*/data.parquet') order by price"
    assert duckdb.sql(query).fetchall() != [(fine,), (Decimal("0.00000007"),)]
    zone.write_index()
    assert duckdb.sql(query).fetchall() == [(fine,), (Decimal("0.00000007"),)]
