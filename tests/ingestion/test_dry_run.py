"""A dry run finds whether anything is to be done, and stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingestion.archive import Outcome, Task, ingest, plan
from ingestion.domain.datasets import AGG_TRADES
from ingestion.raw.stores import open_store
from ingestion.raw.zone import DryZone, RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, agg_rows, archives_at

BTC = parse_market("binance_um:BTCUSDT")
FIRST, SECOND, THIRD, FOURTH = (date(2024, 1, n) for n in (1, 2, 3, 4))
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)
FAULTY = ["no, row, of, trades, is, like, this"]


@pytest.fixture
def zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "store"))


def tasks(last: date = FOURTH) -> list[Task]:
    return plan(AGG_TRADES, BTC, FIRST, last)


def run(folder: ArchiveFolder, zone: RawZone, last: date = FOURTH, *, dry_run: bool = False) -> list[Outcome]:
    return ingest(
        tasks(last),
        archives=archives_at(folder.url),
        zone=DryZone(zone.store) if dry_run else zone,
        now=NOON,
        workers=1,
    )


def contents(zone: RawZone) -> dict[str, bytes | None]:
    return {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw")}


@pytest.fixture
def stored(archive_folder: ArchiveFolder, zone: RawZone) -> dict[str, bytes | None]:
    """Two days of trades, an absent one and a refused one."""
    archive_folder.agg_trades(FIRST)
    archive_folder.agg_trades(SECOND)
    archive_folder.agg_trades(FOURTH, FAULTY)
    assert [one.status for one in run(archive_folder, zone)] == ["stored", "stored", "absent", "refused"]
    return contents(zone)


def test_over_what_is_up_to_date_it_has_the_outcomes_of_a_run(
    archive_folder: ArchiveFolder, zone: RawZone, stored: dict[str, bytes | None]
) -> None:
    dry = run(archive_folder, zone, dry_run=True)
    assert [one.status for one in dry] == ["unchanged", "unchanged", "absent", "refused"]
    assert contents(zone) == stored
    wet = run(archive_folder, zone)
    assert [(one.status, one.receipt, str(one.error)) for one in dry] == [
        (one.status, one.receipt, str(one.error)) for one in wet
    ]


def new_day(folder: ArchiveFolder, zone: RawZone) -> None:
    folder.agg_trades(THIRD)


def corrected(folder: ArchiveFolder, zone: RawZone) -> None:
    folder.agg_trades(SECOND, agg_rows(SECOND, price="43000.5"))


def repaired(folder: ArchiveFolder, zone: RawZone) -> None:
    folder.agg_trades(FOURTH)


def refused_otherwise(folder: ArchiveFolder, zone: RawZone) -> None:
    folder.agg_trades(FOURTH, [*FAULTY, *FAULTY])


def lost(folder: ArchiveFolder, zone: RawZone) -> None:
    zone.store.delete(tasks()[0].object_id.data_key)


def without_receipt(folder: ArchiveFolder, zone: RawZone) -> None:
    zone.store.delete(tasks()[2].object_id.receipt_key)


@pytest.mark.parametrize("change", [new_day, corrected, repaired, refused_otherwise, lost, without_receipt])
def test_what_a_run_would_store_is_due_and_is_not_stored(
    archive_folder: ArchiveFolder,
    zone: RawZone,
    stored: dict[str, bytes | None],
    change: Callable[[ArchiveFolder, RawZone], None],
) -> None:
    change(archive_folder, zone)
    before = contents(zone)
    assert "due" in [one.status for one in run(archive_folder, zone, dry_run=True)]
    assert contents(zone) == before
    run(archive_folder, zone)
    assert contents(zone) != before
    assert "due" not in [one.status for one in run(archive_folder, zone, dry_run=True)]


def test_a_day_that_was_never_requested_is_due(archive_folder: ArchiveFolder, zone: RawZone) -> None:
    archive_folder.agg_trades(FIRST)
    run(archive_folder, zone, FIRST)
    assert [one.status for one in run(archive_folder, zone, FIRST, dry_run=True)] == ["unchanged"]
    assert "due" in [one.status for one in run(archive_folder, zone, SECOND, dry_run=True)]


def test_an_archive_that_is_gone_is_a_failure_and_not_up_to_date(
    archive_folder: ArchiveFolder, zone: RawZone, stored: dict[str, bytes | None]
) -> None:
    for published in archive_folder.root.rglob("*.*"):
        published.unlink()
    assert {one.status for one in run(archive_folder, zone, dry_run=True)} & {"failed", "kept"}


@pytest.mark.parametrize(
    "change",
    [
        lambda zone: zone.store.delete(tasks()[0].object_id.data_key),
        lambda zone: zone.store.put_bytes(tasks()[0].object_id.data_key, b"other bytes"),
        lambda zone: zone.store.delete(tasks()[0].object_id.receipt_key),
        lambda zone: zone.store.put_bytes(tasks()[0].object_id.receipt_key, b"{}"),
        lambda zone: zone.store.delete("raw/receipts.parquet"),
        lambda zone: zone.store.put_bytes("raw/coverage.parquet", b"torn"),
        lambda zone: zone.store.delete("raw/defects.parquet"),
    ],
)
def test_the_index_is_current_until_what_it_describes_changes(
    zone: RawZone, stored: dict[str, bytes | None], change: Callable[[RawZone], None]
) -> None:
    assert not zone.index_is_current()
    zone.write_index()
    assert zone.index_is_current()
    change(zone)
    assert not zone.index_is_current()
