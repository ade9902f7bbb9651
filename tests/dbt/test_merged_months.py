"""What a build reads of months that days were merged into: the same rows, of the days that it builds alone.

Belongs here: bars, staging models and counted rows. Does not: merging (`tests/ingestion/test_merging.py`), whole runs
(`tests/torture/test_merged_months.py`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import AGG_TRADES, Dataset
from ingestion.domain.periods import days_between
from ingestion.raw.merging import merge_months
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.dbt.warehouse import Warehouse
from tests.support.archives import ArchiveFolder, agg_rows, archives_at

BTC = parse_market("binance_um:BTCUSDT")
FIRST, LAST = date(2024, 1, 30), date(2024, 3, 2)
CORRECTED = date(2024, 2, 9)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def ingested(archive: ArchiveFolder, zone: RawZone, dataset: Dataset = AGG_TRADES) -> None:
    ingest(plan(dataset, BTC, FIRST, LAST), archives=archives_at(archive.url), zone=zone, now=NOW)
    zone.write_index()


def counted(warehouse: Warehouse, relation: str, count: str = "count(*)") -> list[tuple[Any, ...]]:
    return warehouse.rows(f"select bar_date, {count} from {relation} group by bar_date order by bar_date")


def test_a_build_reads_merged_days_as_it_read_them_before_and_follows_a_corrected_one(
    tmp_path: Path, archive_folder: ArchiveFolder
) -> None:
    zone = RawZone(open_store(tmp_path / "var"))
    for number, day in enumerate(days_between(FIRST, LAST)):
        archive_folder.agg_trades(day, agg_rows(day, count=5 + number, first_id=100 * number + 1))
    ingested(archive_folder, zone)
    warehouse = Warehouse(tmp_path / "warehouse", zone.url)

    def build(*more: str) -> None:
        models = ("--resource-type", "model", "--resource-type", "seed")
        warehouse.dbt("build", *models, "--select", "+int_built_receipts", "+int_raw_row_counts", *more)

    build()
    minutes = warehouse.records("int_trade_minutes")
    assert len(counted(warehouse, "int_trade_minutes")) == 33

    (merged,) = [
        outcome
        for outcome in merge_months(zone, now=NOW, settled_for=timedelta(), kept_for=timedelta())
        if outcome.status == "merged"
    ]
    assert (merged.month, merged.files_before, merged.files_after) == ("2024-02", 58, 2)
    build()
    assert warehouse.records("int_build_window") == []
    assert warehouse.records("int_trade_minutes") == minutes

    archive_folder.agg_trades(CORRECTED, agg_rows(CORRECTED, count=3, first_id=9_000))
    ingested(archive_folder, zone)
    build()
    assert [row["bar_date"] for row in warehouse.records("int_build_window")] == [CORRECTED]
    followed = warehouse.records("int_trade_minutes")
    assert [row["bar_date"] for row in followed if row not in minutes] == [CORRECTED]

    # All of it from the month, with the corrected day beside it.
    build("--full-refresh")
    assert warehouse.records("int_trade_minutes") == followed
    stated = counted(warehouse, "stg_raw__receipts where status = 'stored'", "sum(row_count)")
    assert counted(warehouse, "stg_raw__agg_trades") == stated
    assert counted(warehouse, "int_raw_row_counts", "sum(found_rows)") == stated
    assert dict(stated)[CORRECTED] == 3
