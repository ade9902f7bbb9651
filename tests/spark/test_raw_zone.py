"""The raw zone as Spark's tables: what is declared, and from what it is known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from orchestration.warehouse.spark.raw_zone import statements
from tests.dbt.warehouse import RawFolder

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


def test_a_zone_that_holds_nothing_has_every_table(tmp_path: Path) -> None:
    texts = list(statements("file:///zone/raw", RawZone(open_store(tmp_path))))
    assert not [text for text in texts if text.startswith("alter table")]
    (receipts,) = [text for text in texts if text.startswith("create table spark_catalog.raw.`receipts`")]
    assert "location" not in receipts
