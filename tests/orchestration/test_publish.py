"""Publication: all at once, without disturbing readers, and never a half."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from ingestion.errors import StorageError
from ingestion.object_store import ObjectStore, open_store
from orchestration.assets.publish import Publication, publish

MARTS = ("dim_markets", "fct_net_taker_volume_daily")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def build_warehouse(path: Path, days: int) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create or replace table dim_markets as select 'simulated:BTCUSDT' as market_id")
        connection.execute(
            "create or replace table fct_net_taker_volume_daily as "
            "select 'simulated:BTCUSDT' as market_id, date '2026-01-01' + cast(n as integer) as trade_date, "
            f"cast(n as decimal(38, 8)) as net_taker_usd from range({days}) as r(n)"
        )
        connection.execute("comment on table fct_net_taker_volume_daily is 'It''s the day'")
        connection.execute("comment on column fct_net_taker_volume_daily.net_taker_usd is 'buys − sells'")
    return path


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "marts.duckdb"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path)


def publish_days(
    tmp_path: Path, days: int, *, store: ObjectStore, settings: Mapping[str, object] | None = None
) -> Publication:
    return publish(
        build_warehouse(tmp_path / "warehouse.duckdb", days),
        tmp_path / "serving" / "marts.duckdb",
        store,
        MARTS,
        run_id="run-1",
        settings=settings or {"target": "duckdb"},
        audit={"suite": "passed"},
        now=NOW,
    )


def days_in(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select count(*) from fct_net_taker_volume_daily").fetchone()
    assert row is not None
    return int(row[0])


def test_marts_are_published_with_rows_types_and_comments(tmp_path: Path, store: ObjectStore, serving: Path) -> None:
    published = publish_days(tmp_path, 3, store=store)
    assert published == Publication(
        {"dim_markets": 1, "fct_net_taker_volume_daily": 3},
        date(2026, 1, 1),
        date(2026, 1, 3),
        ("simulated:BTCUSDT",),
    )
    with duckdb.connect(str(serving), read_only=True) as connection:
        tables = connection.execute("select comment from duckdb_tables() where table_name like 'fct%'").fetchall()
        columns = connection.execute(
            "select data_type, comment from duckdb_columns() where column_name = 'net_taker_usd'"
        ).fetchall()
    assert tables == [("It's the day",)]
    assert columns == [("DECIMAL(38,8)", "buys − sells")]


def test_the_publication_table_says_where_the_marts_come_from(
    tmp_path: Path, store: ObjectStore, serving: Path
) -> None:
    publish_days(tmp_path, 2, store=store)
    with duckdb.connect(str(serving), read_only=True) as connection:
        row = connection.execute("select * from publication").fetchone()
    assert row is not None
    published_at, run_id, first, last, markets, settings, audit = row
    assert (published_at, run_id) == (NOW.replace(tzinfo=None), "run-1")
    assert (first, last, markets) == (date(2026, 1, 1), date(2026, 1, 2), ["simulated:BTCUSDT"])
    assert (json.loads(settings), json.loads(audit)) == ({"target": "duckdb"}, {"suite": "passed"})


def test_each_mart_is_a_parquet_file_with_the_same_rows(tmp_path: Path, store: ObjectStore) -> None:
    publish_days(tmp_path, 3, store=store)
    path = tmp_path / "serving" / "parquet" / "fct_net_taker_volume_daily" / "data.parquet"
    assert duckdb.sql(f"select count(*), sum(net_taker_usd) from '{path}'").fetchone() == (3, 3)


def test_an_open_reader_keeps_its_version_and_blocks_nobody(tmp_path: Path, store: ObjectStore, serving: Path) -> None:
    publish_days(tmp_path, 2, store=store)
    with duckdb.connect(str(serving), read_only=True) as reader:
        assert days_in(reader) == 2
        publish_days(tmp_path, 5, store=store)
        assert days_in(reader) == 2
    with duckdb.connect(str(serving), read_only=True) as newcomer:
        assert days_in(newcomer) == 5


def test_a_publication_that_breaks_halfway_leaves_the_former_one(
    tmp_path: Path, store: ObjectStore, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_days(tmp_path, 2, store=store)

    def full(key: str, path: Path) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(store, "put_file", full)
    with pytest.raises(StorageError):
        publish_days(tmp_path, 5, store=store)
    with duckdb.connect(str(serving), read_only=True) as reader:
        assert days_in(reader) == 2
    assert [path.name for path in serving.parent.iterdir() if path.is_file()] == ["marts.duckdb"]


def test_the_warehouse_is_free_again_for_dbt(tmp_path: Path, store: ObjectStore) -> None:
    publish_days(tmp_path, 2, store=store)
    build_warehouse(tmp_path / "warehouse.duckdb", 3)
