"""The raw zone as Spark's tables: what is declared, and from what it is known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import AGG_TRADES
from ingestion.domain.periods import days_between
from ingestion.raw.merging import merge_months
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from orchestration.warehouse.spark.raw_zone import statements
from tests.dbt.warehouse import RawFolder
from tests.support.archives import ArchiveFolder, agg_rows, archives_at

DAY = date(2024, 8, 8)
BTC = "binance_um:BTCUSDT"


def declared(root: Path, dataset: str) -> list[str]:
    """The statements about a dataset."""
    return [one for one in statements("file:///zone/raw", RawZone(open_store(root))) if f"raw.`{dataset}`" in one]


def test_a_partition_is_declared_for_each_stored_object_and_for_nothing_else(tmp_path: Path) -> None:
    raw = RawFolder(tmp_path)
    raw.store("aggTrades", BTC, DAY, [])
    raw.absent("aggTrades", BTC, date(2024, 8, 9))
    raw.write_index()
    unfinished = raw.store("aggTrades", BTC, date(2024, 8, 10), [])  # its receipt is not in the index
    assert unfinished.exists()
    (added,) = [one for one in declared(tmp_path, "aggTrades") if one.startswith("alter table")]
    assert added.endswith(
        "add partition (`venue`='binance_um', `symbol`='BTCUSDT', `date`='2024-08-08') "
        "location 'file:///zone/raw/aggTrades/venue=binance_um/symbol=BTCUSDT/date=2024-08-08'"
    )


def test_a_month_is_one_partition_however_many_days_its_receipt_states(tmp_path: Path) -> None:
    raw = RawFolder(tmp_path)
    raw.store("klines", BTC, DAY, [{"opened_at": datetime(2024, 8, n, tzinfo=UTC)} for n in (1, 2, 3)], interval="1h")
    raw.write_index()
    (added,) = [one for one in declared(tmp_path, "klines") if one.startswith("alter table")]
    assert added.count("partition (") == 1
    assert "`interval`='1h', `month`='2024-08'" in added


def test_days_that_were_merged_are_partitions_of_a_table_of_months(
    tmp_path: Path, archive_folder: ArchiveFolder
) -> None:
    zone, now = RawZone(open_store(tmp_path)), datetime(2026, 1, 1, tzinfo=UTC)
    first, last = date(2024, 8, 1), date(2024, 8, 31)

    def ingested() -> None:
        tasks = plan(AGG_TRADES, parse_market(BTC), first, last)
        ingest(tasks, archives=archives_at(archive_folder.url), zone=zone, now=now)

    for day in days_between(first, last):
        archive_folder.agg_trades(day)
    ingested()
    merge_months(zone, now=now, settled_for=timedelta(), kept_for=timedelta())
    archive_folder.agg_trades(DAY, agg_rows(DAY, count=8))
    ingested()
    zone.write_index()
    (own,) = [one for one in declared(tmp_path, "aggTrades") if one.startswith("alter table")]
    assert own.count("partition (") == 1
    assert "`date`='2024-08-08'" in own
    created, (of_months,) = (
        [one for one in declared(tmp_path, "aggTrades_of_months") if one.startswith(verb)]
        for verb in ("create table", "alter table")
    )
    assert of_months.endswith(
        "add partition (`venue`='binance_um', `symbol`='BTCUSDT', `month`='2024-08') "
        "location 'file:///zone/raw/aggTrades/venue=binance_um/symbol=BTCUSDT/month=2024-08'"
    )
    assert "`date` date, `venue` string, `symbol` string, `month` string" in created[0]


def test_a_zone_that_holds_nothing_has_every_table(tmp_path: Path) -> None:
    texts = list(statements("file:///zone/raw", RawZone(open_store(tmp_path))))
    assert not [text for text in texts if text.startswith("alter table")]
    (receipts,) = [text for text in texts if text.startswith("create table spark_catalog.raw.`receipts`")]
    assert "location" not in receipts
