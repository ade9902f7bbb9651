"""What is stored is what its receipt states, or its days are not covered; what is derived is made anew."""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.archive import Outcome, Task, changed_sources, ingest, plan
from ingestion.domain.datasets import AGG_TRADES, KLINES
from ingestion.raw.receipts import Receipt, readable
from ingestion.raw.soundness import VERIFIED_KEY
from ingestion.raw.zone import COVERAGE_KEY, DEFECTS_KEY, INDEX_KEY, RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, agg_rows, archives_at

BTC = parse_market("binance_um:BTCUSDT")
FIRST, SECOND = date(2024, 1, 1), date(2024, 1, 2)
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)


def tasks(last: date = SECOND) -> list[Task]:
    return plan(AGG_TRADES, BTC, FIRST, last)


def stored(folder: ArchiveFolder, zone: RawZone) -> list[Outcome]:
    """Two days of trades, ingested and indexed."""
    for day in (FIRST, SECOND):
        folder.agg_trades(day)
    outcomes = run(folder, zone)
    zone.write_index()
    return outcomes


def run(folder: ArchiveFolder, zone: RawZone, now: datetime = NOON, notices: list[str] | None = None) -> list[Outcome]:
    notices = notices if notices is not None else []
    return ingest(tasks(), archives=archives_at(folder.url), zone=zone, now=now, notice=notices.append)


def everything(zone: RawZone) -> dict[str, bytes | None]:
    """Every object with its receipt; the tables of them name the versions that a store gives."""
    return {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw/aggTrades")}


def statuses(zone: RawZone, notices: list[str] | None = None) -> list[tuple[str, int]]:
    index = zone.write_index(notice=(notices if notices is not None else []).append)
    return list(zip(index["status"].to_pylist(), index["row_count"].to_pylist(), strict=True))


def remove(zone: RawZone, key: str) -> None:
    zone.store.delete(key)


def shorten(zone: RawZone, key: str) -> None:
    zone.store.put_bytes(key, (zone.store.get_bytes(key) or b"")[:-7])


def flip(zone: RawZone, key: str) -> None:
    payload = bytearray(zone.store.get_bytes(key) or b"")
    payload[len(payload) // 2] ^= 4
    zone.store.put_bytes(key, bytes(payload))


DAMAGE = pytest.mark.parametrize("spoil", [remove, shorten, flip])


@DAMAGE
def test_a_damaged_object_is_not_covered_and_is_named_with_what_to_do(
    archive_folder: ArchiveFolder, zone: RawZone, spoil: Callable[[RawZone, str], None]
) -> None:
    key = stored(archive_folder, zone)[0].task.object_id.data_key
    spoil(zone, key)
    notices: list[str] = []
    assert statuses(zone, notices) == [("damaged", 0), ("stored", 5)]
    (defect,) = zone.defects().to_pylist()
    assert (defect["kind"], defect["period"], defect["source_key"]) == ("damaged_object", "2024-01-01", key)
    assert "`taker run --markets binance_um:BTCUSDT --from 2024-01-01 --to 2024-01-01`" in defect["reason"]
    assert len(notices) == 1
    assert "binance_um:BTCUSDT aggTrades 2024-01-01" in notices[0]
    # As long as nothing is done about it.
    assert statuses(zone) == [("damaged", 0), ("stored", 5)]


def test_what_was_lost_is_seen_before_the_next_index_and_nothing_is_written(
    archive_folder: ArchiveFolder, local_zone: RawZone
) -> None:
    key = stored(archive_folder, local_zone)[0].task.object_id.data_key
    assert local_zone.as_of_now() == (local_zone.index(), local_zone.defects())
    remove(local_zone, key)
    before = [(found.key, found.version) for found in local_zone.store.list()]
    index, defects = local_zone.as_of_now()
    assert index["status"].to_pylist() == ["damaged", "stored"]
    assert defects["source_key"].to_pylist() == [key]
    assert [(found.key, found.version) for found in local_zone.store.list()] == before


@DAMAGE
def test_a_damaged_object_is_fetched_again_to_the_same_bytes(
    archive_folder: ArchiveFolder, zone: RawZone, spoil: Callable[[RawZone, str], None]
) -> None:
    object_id = stored(archive_folder, zone)[0].task.object_id
    before = everything(zone)
    spoil(zone, object_id.data_key)
    # Both before an index has noticed, and after.
    notices: list[str] = []
    assert [outcome.status for outcome in run(archive_folder, zone, LATER, notices)] == ["stored", "unchanged"]
    assert "it was fetched again" in notices[0]
    assert everything(zone) == before
    spoil(zone, object_id.data_key)
    zone.write_index()
    run(archive_folder, zone, LATER)
    zone.write_index()
    assert everything(zone) == before
    assert [outcome.status for outcome in run(archive_folder, zone, LATER)] == ["unchanged", "unchanged"]


def test_a_damaged_object_that_the_archive_has_no_more_fails_and_is_not_covered(
    archive_folder: ArchiveFolder, local_zone: RawZone
) -> None:
    outcome = stored(archive_folder, local_zone)[0]
    flip(local_zone, outcome.task.object_id.data_key)
    (key,) = [source.key for source in (outcome.receipt or pytest.fail("no receipt")).sources]
    archive_folder.remove(key)
    again = run(archive_folder, local_zone, LATER)[0]
    assert again.status == "failed"
    assert "what was stored has the sha256" in str(again.error)
    assert "Restore raw/aggTrades/" in str(again.error)
    assert statuses(local_zone)[0] == ("damaged", 0)


def test_a_damaged_object_counts_as_a_changed_file(archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
    outcome = stored(archive_folder, local_zone)[1]
    assert changed_sources(tasks(), archives=archives_at(archive_folder.url), zone=local_zone) == []
    remove(local_zone, outcome.task.object_id.data_key)
    changed = changed_sources(tasks(), archives=archives_at(archive_folder.url), zone=local_zone)
    assert changed == [outcome.task]


def test_nothing_of_a_damaged_month_is_carried_into_the_new_one(
    archive_folder: ArchiveFolder, local_zone: RawZone
) -> None:
    """A day that its archive has withdrawn stays, unless its rows can no longer be trusted."""
    for day in (FIRST, SECOND):
        key = archive_folder.klines_of_day(day)
    month = plan(KLINES, BTC, FIRST, SECOND, interval="4h")
    ingest(month, archives=archives_at(archive_folder.url), zone=local_zone, now=NOON)
    archive_folder.remove(key)
    flip(local_zone, month[0].object_id.data_key)
    (outcome,) = ingest(month, archives=archives_at(archive_folder.url), zone=local_zone, now=LATER)
    assert outcome.receipt is not None
    assert outcome.receipt.day_rows == {"2024-01-01": 6}
    assert statuses(local_zone) == [("stored", 6), ("absent", 0)]


def test_no_flipped_bit_of_a_file_of_trades_becomes_a_fact(archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
    archive_folder.agg_trades(FIRST, agg_rows(FIRST, 200))
    (outcome,) = ingest(tasks(FIRST), archives=archives_at(archive_folder.url), zone=local_zone, now=NOON)
    local_zone.write_index()
    key = outcome.task.object_id.data_key
    sound = local_zone.store.get_bytes(key) or b""
    rows = pq.read_table(io.BytesIO(sound))
    other_rows = 0
    for position in random.Random(11).sample(range(len(sound) * 8), 60):
        spoiled = bytearray(sound)
        spoiled[position // 8] ^= 1 << position % 8
        local_zone.store.put_bytes(key, bytes(spoiled))
        with contextlib.suppress(pa.ArrowException, OSError):  # the reader would notice by itself
            other_rows += not pq.read_table(io.BytesIO(spoiled)).equals(rows)
        assert statuses(local_zone) == [("damaged", 0)]
    assert other_rows > 10


def test_a_bit_that_flips_under_an_unchanged_time_is_found_when_everything_is_hashed_again(
    archive_folder: ArchiveFolder, local_zone: RawZone, tmp_path: Path
) -> None:
    key = stored(archive_folder, local_zone)[0].task.object_id.data_key
    path = tmp_path / "store" / key
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert statuses(local_zone) == [("stored", 5), ("stored", 5)]
    local_zone.write_index(rehashes=True)
    assert statuses(local_zone) == [("damaged", 0), ("stored", 5)]


def test_an_object_is_hashed_once(
    archive_folder: ArchiveFolder, local_zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(archive_folder, local_zone)
    hashed: list[str] = []
    monkeypatch.setattr(local_zone.store, "sha256", hashed.append)
    local_zone.write_index()
    run(archive_folder, local_zone, LATER)
    assert hashed == []


@pytest.mark.parametrize("key", [INDEX_KEY, COVERAGE_KEY, DEFECTS_KEY, VERIFIED_KEY])
@pytest.mark.parametrize("spoil", ["torn", "garbage", "other columns", "flipped bit"])
def test_a_derived_table_that_is_damaged_is_set_aside_and_made_anew(
    archive_folder: ArchiveFolder, local_zone: RawZone, key: str, spoil: str
) -> None:
    stored(archive_folder, local_zone)
    sound = local_zone.store.get_bytes(key) or b""
    other = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), other)
    spoiled = {
        "torn": sound[: len(sound) // 2],
        "garbage": b"\0" * 100,
        "other columns": other.getvalue(),
        "flipped bit": sound[:40] + bytes([sound[40] ^ 1]) + sound[41:],
    }[spoil]
    local_zone.store.put_bytes(key, spoiled)
    notices: list[str] = []
    local_zone.write_index(notice=notices.append)
    if key not in (COVERAGE_KEY, DEFECTS_KEY) or spoil != "flipped bit":  # of an empty table it is no data
        assert len(notices) == 1
        assert notices[0].startswith(f"{key} is damaged")
        (kept,) = local_zone.store.list("raw/set_aside")
        assert local_zone.store.get_bytes(kept.key) == spoiled
        assert local_zone.store.get_bytes(key) == sound
    notices.clear()
    local_zone.write_index(notice=notices.append)
    assert notices == []


def test_a_torn_receipt_is_named_and_its_day_is_not_covered_until_it_is_fetched_again(
    archive_folder: ArchiveFolder, local_zone: RawZone
) -> None:
    object_id = stored(archive_folder, local_zone)[0].task.object_id
    before = everything(local_zone)
    shorten(local_zone, object_id.receipt_key)
    notices: list[str] = []
    assert statuses(local_zone, notices) == [("stored", 5)]
    assert notices[0].startswith(object_id.receipt_key)
    run(archive_folder, local_zone)
    local_zone.write_index()
    assert everything(local_zone) == before


def test_no_flipped_bit_of_a_receipt_becomes_a_fact(archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
    receipt = stored(archive_folder, local_zone)[0].receipt
    assert receipt is not None
    sound = receipt.to_json()
    assert readable(sound) == receipt
    for position in random.Random(11).sample(range(len(sound) * 8), 400):
        spoiled = bytearray(sound)
        spoiled[position // 8] ^= 1 << position % 8
        found: Receipt | None = readable(bytes(spoiled))
        assert found in (None, receipt)  # of the name of the checksum itself, nothing follows


def test_an_object_that_is_replaced_while_it_is_judged_is_judged_as_it_is_then(
    archive_folder: ArchiveFolder, local_zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    object_id = stored(archive_folder, local_zone)[0].task.object_id
    flip(local_zone, object_id.data_key)
    sha256 = local_zone.store.sha256

    def replaced(key: str) -> str | None:
        found = sha256(key)
        monkeypatch.undo()
        archive_folder.agg_trades(FIRST, agg_rows(FIRST, 7))
        run(archive_folder, local_zone, LATER)
        return found

    monkeypatch.setattr(local_zone.store, "sha256", replaced)
    assert statuses(local_zone) == [("stored", 7), ("stored", 5)]
