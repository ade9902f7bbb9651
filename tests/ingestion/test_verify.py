"""`verify` names everything of the raw zone that is not as its receipts state, and changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import AGG_TRADES
from ingestion.raw.receipts import ObjectId
from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.raw.verify import RawVerdict, verify
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, archives_at

BTC = parse_market("binance_um:BTCUSDT")
DAYS = [date(2024, 1, n) for n in range(1, 7)]


def stored(folder: ArchiveFolder, zone: RawZone) -> list[ObjectId]:
    for day in DAYS:
        folder.agg_trades(day)
    tasks = plan(AGG_TRADES, BTC, DAYS[0], DAYS[-1])
    ingest(tasks, archives=archives_at(folder.url), zone=zone, now=datetime(2024, 2, 1, tzinfo=UTC))
    zone.write_index()
    return [task.object_id for task in tasks]


def spoil_each_day(zone: RawZone, objects: list[ObjectId]) -> None:
    """The first day stays whole."""
    _, missing, short, changed, torn, unreceipted = objects
    data = {each: zone.store.get_bytes(each.data_key) or b"" for each in objects}
    zone.store.delete(missing.data_key)
    zone.store.put_bytes(short.data_key, data[short][:-1])
    zone.store.put_bytes(changed.data_key, data[changed][:99] + bytes([data[changed][99] ^ 1]) + data[changed][100:])
    zone.store.put_bytes(torn.receipt_key, (zone.store.get_bytes(torn.receipt_key) or b"")[:50])
    zone.store.delete(unreceipted.receipt_key)


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def test_each_fault_is_named_with_market_day_file_and_what_to_do(
    kind: str, request: pytest.FixtureRequest, archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    if kind == "folder":
        zone = RawZone(open_store(tmp_path / "store"))
    else:
        options: S3Options = request.getfixturevalue("seaweedfs")
        zone = RawZone(open_store(request.getfixturevalue("s3_url"), options))
    objects = stored(archive_folder, zone)
    assert verify(zone.store) == RawVerdict(6, sum(len(zone.store.get_bytes(o.data_key) or b"") for o in objects), ())
    spoil_each_day(zone, objects)
    before = [(found.key, found.version) for found in zone.store.list()]
    seen: list[tuple[int, int]] = []
    found = verify(zone.store, lambda done, of: seen.append((done, of)))
    assert [(fault.period, fault.key.rpartition("/")[2]) for fault in found.faults] == [
        ("2024-01-02", "data.parquet"),
        ("2024-01-03", "data.parquet"),
        ("2024-01-04", "data.parquet"),
        ("2024-01-05", "_receipt.json"),
        ("2024-01-06", "data.parquet"),
    ]
    assert [fault.what.split(" ")[:2] for fault in found.faults] == [
        ["is", "missing"],
        ["has", found.faults[1].what.split(" ")[1]],
        ["has", "the"],
        ["cannot", "be"],
        ["has", "no"],
    ]
    for fault, day in zip(found.faults, DAYS[1:], strict=True):
        assert (fault.market_id, fault.dataset) == ("binance_um:BTCUSDT", "aggTrades")
        assert f"`taker run --markets binance_um:BTCUSDT --from {day} --to {day}`" in fault.remedy
    assert seen[-1] == (6, 6)
    assert [(each.key, each.version) for each in zone.store.list()] == before


def test_a_bit_that_flipped_under_an_unchanged_time_is_found(archive_folder: ArchiveFolder, tmp_path: Path) -> None:
    zone = RawZone(open_store(tmp_path / "store"))
    object_id = stored(archive_folder, zone)[0]
    path = tmp_path / "store" / object_id.data_key
    stat, payload = path.stat(), path.read_bytes()
    with path.open("r+b") as file:
        file.seek(200)
        file.write(bytes([payload[200] ^ 8]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (fault,) = verify(zone.store).faults
    assert (fault.key, "its bytes have changed" in fault.what) == (object_id.data_key, True)


def test_a_receipt_of_another_object_is_no_receipt(archive_folder: ArchiveFolder, tmp_path: Path) -> None:
    zone = RawZone(open_store(tmp_path / "store"))
    first, second, *_ = stored(archive_folder, zone)
    zone.store.put_bytes(second.receipt_key, zone.store.get_bytes(first.receipt_key) or b"")
    (fault,) = verify(zone.store).faults
    assert (fault.key, fault.what) == (second.receipt_key, f"is the receipt of {first.folder}")
