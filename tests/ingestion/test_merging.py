"""Settled months of daily objects become one object each: nothing is lost, nothing counts twice, at any moment.

Belongs here: merging in the raw zone, and what reads, corrects and verifies a merged month there. Does not: the command
(`tests/orchestration/test_merge_months.py`), what a build makes of it (`tests/dbt/test_merged_months.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.archive import Outcome, Task, changed_sources, ingest, plan
from ingestion.domain.datasets import AGG_TRADES, METRICS
from ingestion.domain.periods import Period, days_between
from ingestion.raw import months
from ingestion.raw.merging import MonthOutcome, merge_months
from ingestion.raw.names import DATA, RECEIPT
from ingestion.raw.receipts import ObjectId, readable
from ingestion.raw.store import LocalStore
from ingestion.raw.verify import verify
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, agg_rows, archives_at
from tests.support.interrupted import Killed, KilledStore

BTC = parse_market("binance_um:BTCUSDT")
FIRST, LAST = date(2024, 1, 1), date(2024, 1, 31)
CORRECTED = date(2024, 1, 9)
JANUARY = list(days_between(FIRST, LAST))
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
MONTH = ObjectId("aggTrades", BTC, "", Period.of_month(FIRST))
AT_ONCE: dict[str, Any] = {"settled_for": timedelta(days=62), "kept_for": timedelta()}
# Of a row of the index, what does not state where the day's object is.
PLACE = ("period", "receipt_key", "receipt_version")
# Made once and never freed: Arrow's threads give memory back after a reading has returned, and do not keep its pool.
COUNTED = pa.proxy_memory_pool(pa.default_memory_pool())


def put_january(folder: ArchiveFolder, *, without: tuple[date, ...] = ()) -> None:
    for day in JANUARY:
        if day not in without:
            folder.agg_trades(day)


def tasks() -> list[Task]:
    return plan(AGG_TRADES, BTC, FIRST, LAST)


def run(folder: ArchiveFolder, zone: RawZone, now: datetime = NOON) -> list[Outcome]:
    return ingest(tasks(), archives=archives_at(folder.url), zone=zone, now=now)


def merged(zone: RawZone, now: datetime = NOON, **options: Any) -> list[MonthOutcome]:
    return merge_months(zone, now=now, **{**AT_ONCE, **options})


def files(zone: RawZone) -> list[str]:
    return [found.key for found in zone.store.list("raw/aggTrades")]


def day_of(day: date) -> ObjectId:
    return ObjectId("aggTrades", BTC, "", Period.of_day(day))


def states(zone: RawZone) -> list[dict[str, Any]]:
    """What the index states of each day, but for where its object is."""
    found = zone.write_index().drop(list(PLACE)).to_pylist()
    assert len({(row["dataset"], row["market_id"], row["day"]) for row in found}) == len(found)
    return found


def rows(zone: RawZone) -> pa.Table:
    """The rows of each day, in order."""
    return pa.concat_tables(zone.rows(day_of(day)) for day in JANUARY)


def stored_january(zone: RawZone, folder: ArchiveFolder) -> None:
    put_january(folder)
    run(folder, zone)


def correct(folder: ArchiveFolder) -> None:
    folder.agg_trades(CORRECTED, agg_rows(CORRECTED, count=8))


def lose(zone: RawZone, day: date) -> None:
    for name in (DATA, RECEIPT):
        zone.store.delete(day_of(day).folder + name)


def test_a_settled_month_becomes_one_object_with_one_receipt(zone: RawZone, archive_folder: ArchiveFolder) -> None:
    stored_january(zone, archive_folder)
    before, trades = states(zone), rows(zone)
    receipts = [zone.receipt(day_of(day)) for day in JANUARY]

    (outcome,) = merged(zone)

    assert (outcome.status, outcome.files_before, outcome.files_after, outcome.rows) == ("merged", 62, 2, 31 * 5)
    assert files(zone) == [MONTH.receipt_key, MONTH.data_key]
    assert states(zone) == before
    assert set(zone.index()["period"].to_pylist()) == {"2024-01"}
    assert rows(zone) == trades
    assert [zone.receipt(day_of(day)) for day in JANUARY] == receipts
    assert verify(zone.store).faults == ()


def test_the_receipt_of_a_month_states_every_source_file_of_each_day(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    sources = [receipt.sources for day in JANUARY if (receipt := local_zone.receipt(day_of(day)))]
    merged(local_zone)
    stated = json.loads(local_zone.store.get_bytes(MONTH.receipt_key) or b"")
    for day, (source,), of_day in zip(JANUARY, sources, stated["merged"], strict=True):
        assert of_day["period"] == str(day)
        assert of_day["sources"] == [
            {"key": source.key, "sha256": source.sha256, "size": source.size, "rows": 5, "fingerprint": ""}
        ]


def test_what_was_merged_is_as_it_was_for_the_comparison_with_the_archive(
    zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(zone, archive_folder)
    merged(zone)
    stored = zone.store.list("raw/aggTrades")
    assert {outcome.status for outcome in run(archive_folder, zone)} == {"unchanged"}
    assert changed_sources(tasks(), archives=archives_at(archive_folder.url), zone=zone) == []
    assert [outcome.status for outcome in merged(zone)] == ["unchanged"]
    zone.write_index()
    assert zone.store.list("raw/aggTrades") == stored
    assert zone.index_is_current()


def test_a_corrected_day_comes_before_what_its_month_has_of_it(zone: RawZone, archive_folder: ArchiveFolder) -> None:
    stored_january(zone, archive_folder)
    merged(zone)
    before = states(zone)
    correct(archive_folder)

    assert changed_sources(tasks(), archives=archives_at(archive_folder.url), zone=zone) == [tasks()[8]]
    statuses = [outcome.status for outcome in run(archive_folder, zone, NOON + timedelta(hours=1))]

    assert statuses == ["unchanged"] * 8 + ["stored"] + ["unchanged"] * 22
    after = states(zone)
    assert [row["day"] for row, other in zip(after, before, strict=True) if row != other] == [CORRECTED]
    assert (after[8]["row_count"], after[8]["revision"]) == (8, 2)
    assert rows(zone).num_rows == 30 * 5 + 8
    assert [each.revision for each in zone.history(day_of(CORRECTED))] == [1, 2]
    (outcome,) = merged(zone, NOON + timedelta(hours=2))
    assert (outcome.status, outcome.beside) == ("unchanged", 1)
    assert states(zone) == after
    # Were it lost, the day is what the month has of it, until it is fetched again.
    lose(zone, CORRECTED)
    assert states(zone) == before
    assert run(archive_folder, zone)[8].status == "stored"


def test_a_month_fetched_again_since_it_was_damaged_is_merged_again(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    zone = local_zone
    stored_january(zone, archive_folder)
    merged(zone)
    before, trades = states(zone), rows(zone)
    zone.store.put_bytes(MONTH.data_key, b"damaged")
    assert {row["status"] for row in states(zone)} == {"damaged"}
    assert len(verify(zone.store).faults) == 1
    ingest(tasks()[:3], archives=archives_at(archive_folder.url), zone=zone, now=NOON)
    (outcome,) = merged(zone)
    assert outcome.status == "left"
    assert "has 7 bytes" in outcome.why
    assert "taker run" in outcome.why

    assert [outcome.status for outcome in run(archive_folder, zone)] == ["unchanged"] * 3 + ["stored"] * 28
    assert states(zone) == before
    assert [outcome.status for outcome in merged(zone)] == ["merged"]
    assert [key for key in files(zone) if "/date=" in key] == []
    assert (states(zone), rows(zone)) == (before, trades)


@pytest.mark.parametrize("torn", [True, False])
def test_killed_at_any_change_every_day_counts_once_and_the_next_call_goes_on(
    torn: bool, archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    zone = RawZone(LocalStore(tmp_path / "store"))
    stored_january(zone, archive_folder)
    before, trades = states(zone), rows(zone)
    kills = 0
    for after in (2, 3, 4, 5, 20, 67, 69, 100):
        shutil.copytree(tmp_path / "store", root := tmp_path / f"killed {after}")
        reader = RawZone(LocalStore(root))
        reader.write_index()
        try:
            merge_months(RawZone(KilledStore(root, after=after, torn=torn)), now=NOON, **AT_ONCE)
        except Killed:
            kills += 1
        assert (states(reader), rows(reader)) == (before, trades), after
        # As of any object that is stored before its receipt.
        assert {fault.key for fault in verify(reader.store).faults} <= {MONTH.data_key}
        merged(reader)
        assert verify(reader.store).faults == ()
        assert files(reader) == [MONTH.receipt_key, MONTH.data_key], after
        assert (states(reader), rows(reader)) == (before, trades), after
        shutil.rmtree(root)
    assert kills == 8


def test_the_data_of_days_stay_as_long_as_readers_of_an_older_index_may_need_them(
    zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(zone, archive_folder)
    for hours, status, waiting, after in ((0, "merged", 31, 33), (23, "unchanged", 31, 33), (25, "merged", 0, 2)):
        (outcome,) = merged(zone, NOON + timedelta(hours=hours), kept_for=timedelta(hours=24))
        assert (outcome.status, outcome.waiting, outcome.files_after) == (status, waiting, after)
        assert len(files(zone)) == after
        assert verify(zone.store).faults == ()


def test_the_data_of_a_day_go_only_once_the_index_states_their_month(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    seen = []

    def look() -> None:
        periods = set(local_zone.index()["period"].to_pylist())
        seen.append((len([key for key in files(local_zone) if key.endswith(DATA)]), "2024-01" in periods))

    merged(local_zone, still_alone=look)
    assert seen == [(32, False), (32, True)]


def test_a_day_that_another_process_stored_meanwhile_is_kept(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)

    def correct_before_anything_is_removed() -> None:
        correct(archive_folder)
        run(archive_folder, local_zone, NOON + timedelta(minutes=1))

    (outcome,) = merged(local_zone, still_alone=correct_before_anything_is_removed)
    assert (outcome.status, outcome.beside) == ("merged", 1)
    assert states(local_zone)[8]["row_count"] == 8
    assert rows(local_zone).num_rows == 30 * 5 + 8


def test_a_month_that_is_open_or_not_whole_stays_as_it_is_with_the_reason(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    put_january(archive_folder, without=(CORRECTED,))
    archive_folder.put_bytes(f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{CORRECTED}.zip", b"no zip")
    run(archive_folder, local_zone)
    stored = files(local_zone)
    (outcome,) = merged(local_zone)
    assert (outcome.status, outcome.why) == ("left", "the file of 2024-01-09 was refused")
    lose(local_zone, CORRECTED)
    (outcome,) = merged(local_zone)
    assert outcome.why == "1 of its days were never requested, the first is 2024-01-09"
    (outcome,) = merged(local_zone, datetime(2024, 3, 31, tzinfo=UTC))
    assert (outcome.status, outcome.why) == ("open", "the month is not settled yet")
    assert files(local_zone) == [key for key in stored if key != day_of(CORRECTED).receipt_key]


def test_a_day_that_the_venue_does_not_have_is_merged_as_such(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    put_january(archive_folder, without=(CORRECTED,))
    run(archive_folder, local_zone)
    before = states(local_zone)
    (outcome,) = merged(local_zone)
    assert (outcome.status, outcome.files_before, outcome.files_after) == ("merged", 61, 2)
    assert states(local_zone) == before
    archive_folder.agg_trades(CORRECTED)
    assert [outcome.status for outcome in run(archive_folder, local_zone)].count("stored") == 1


def test_an_object_with_other_bytes_than_its_receipt_states_is_not_merged(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    key = day_of(FIRST).data_key
    payload = bytearray(local_zone.store.get_bytes(key) or b"")
    payload[20] ^= 1
    local_zone.store.put_bytes(key, bytes(payload))
    (outcome,) = merged(local_zone)
    assert outcome.why == "the object of 2024-01-01 has other bytes than its receipt states"
    assert len(files(local_zone)) == 62


def test_a_dry_run_states_what_would_be_merged_and_changes_nothing(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    local_zone.write_index()
    stored = local_zone.store.list("")
    (outcome,) = merged(local_zone, is_dry=True)
    assert (outcome.status, outcome.files_before, outcome.files_after) == ("due", 62, 2)
    assert local_zone.store.list("") == stored


def test_only_the_chosen_datasets_and_markets_are_merged(local_zone: RawZone, archive_folder: ArchiveFolder) -> None:
    stored_january(local_zone, archive_folder)
    assert merged(local_zone, datasets=[METRICS.name]) == []
    assert merged(local_zone, market_ids=["binance_um:ETHUSDT"]) == []
    assert len(merged(local_zone, datasets=[AGG_TRADES.name], market_ids=[BTC.market_id])) == 1


def test_what_an_update_of_noted_parts_sees_is_what_one_of_everything_sees(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    merged(local_zone)
    for note in local_zone.store.list("notes/stored"):
        local_zone.store.delete(note.key)
    noted = RawZone(local_zone.store, only_noted=True)
    correct(archive_folder)
    run(archive_folder, noted, NOON + timedelta(hours=1))
    found = noted.write_index()
    assert found["row_count"].to_pylist()[8] == 8
    assert found.equals(local_zone.write_index(rehashes=True))
    lose(noted, CORRECTED)
    found = noted.write_index()
    assert found["row_count"].to_pylist()[8] == 5
    assert found.equals(local_zone.write_index(rehashes=True))


def test_a_defect_noted_of_a_merged_day_leaves_its_data_where_they_are(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    merged(local_zone)
    before = states(local_zone)
    archive_folder.put_bytes(f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{CORRECTED}.zip", b"no zip")
    outcome = run(archive_folder, local_zone)[8]
    assert outcome.status == "refused"
    assert "stays in use" in str(outcome.error)
    assert states(local_zone) == before
    (defect,) = local_zone.defects().to_pylist()
    assert (defect["kind"], defect["day"], defect["period"]) == ("refused_source", CORRECTED, str(CORRECTED))
    assert [key for key in files(local_zone) if "/date=" in key] == []


def test_row_groups_end_with_days_so_that_a_reader_of_one_day_skips_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "ROW_GROUP", 10)
    sizes = dict(zip(JANUARY, (3, 25, 4, 5), strict=False))
    schema = AGG_TRADES.schema

    def tables(size: int) -> list[pa.Table]:
        return [pa.table([pa.nulls(size, field.type) for field in schema], schema=schema)]

    target = tmp_path / "data.parquet"
    assert months.write_month(((day, tables(size)) for day, size in sizes.items()), AGG_TRADES, target) == sizes
    metadata = pq.ParquetFile(target).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    found = [(group.num_rows, group.column(group.num_columns - 1).statistics.min.day) for group in groups]
    assert found == [(3, 1), (10, 2), (10, 2), (9, 2), (5, 4)]
    read = {day: sum(rows.num_rows for rows in months.rows_of_object(target, AGG_TRADES, day)) for day in sizes}
    assert read == sizes


def test_reading_a_day_of_a_month_takes_the_memory_of_the_day(
    local_zone: RawZone, archive_folder: ArchiveFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(months, "ROW_GROUP", 2_000)
    for day in JANUARY:
        archive_folder.agg_trades(day, agg_rows(day, count=2_000))
    run(archive_folder, local_zone)
    merged(local_zone)
    month = pq.read_table(io.BytesIO(local_zone.store.get_bytes(MONTH.data_key) or b""))
    default = pa.default_memory_pool()
    pa.set_memory_pool(COUNTED)
    try:
        day = local_zone.rows(day_of(JANUARY[15]))
    finally:
        pa.set_memory_pool(default)
    assert day.num_rows == 2_000
    assert 0 < COUNTED.max_memory() < month.nbytes // 4


def test_a_merged_month_of_an_older_schema_is_rewritten_with_its_days(
    local_zone: RawZone, archive_folder: ArchiveFolder
) -> None:
    stored_january(local_zone, archive_folder)
    merged(local_zone)
    before, trades, store = states(local_zone), rows(local_zone), local_zone.store
    of_month = readable(store.get_bytes(MONTH.receipt_key))
    assert of_month is not None
    table = pq.read_table(local_zone.store.url(MONTH.data_key), partitioning=None)
    place = table.column_names.index("price")
    older = io.BytesIO()
    pq.write_table(table.set_column(place, "price", table["price"].cast(pa.decimal128(18, 8))), older)
    store.put_bytes(MONTH.data_key, older.getvalue())
    sha256 = hashlib.sha256(older.getvalue()).hexdigest()
    of_month = replace(of_month, schema_version=1, stored_sha256=sha256, stored_bytes=len(older.getvalue()))
    store.put_bytes(MONTH.receipt_key, of_month.to_json())

    assert states(local_zone) == before
    rewritten = pq.read_schema(local_zone.store.url(MONTH.data_key))
    assert rewritten.equals(months.schema_of_month(AGG_TRADES))
    assert rows(local_zone) == trades
    assert verify(store).faults == ()
