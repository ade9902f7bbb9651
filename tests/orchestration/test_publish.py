"""Publication: all at once, without disturbing readers, and never a half."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import duckdb
import pytest

from ingestion.domain.errors import StorageError
from orchestration.warehouse import dbt
from orchestration.warehouse.publish import revisions
from orchestration.warehouse.publish.tables import PublicationError, mart_keys
from tests.support.publications import DAILY, MARKETS, NOW, Publisher


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher.on(tmp_path)


def days_in(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(f"select count(*) from {DAILY}").fetchone()
    assert row is not None
    return int(row[0])


def test_marts_are_published_with_rows_types_and_comments(publisher: Publisher) -> None:
    published = publisher.publish_days(3)
    assert (published.rows[MARKETS], published.rows[DAILY]) == (1, 3)
    assert (published.first_day, published.last_day) == (date(2026, 1, 1), date(2026, 1, 3))
    assert published.markets == ("simulated:BTCUSDT",)
    assert publisher.query(f"select comment from duckdb_tables() where table_name = '{DAILY}'") == [("It's the day",)]
    columns = publisher.query("select data_type, comment from duckdb_columns() where column_name = 'net_taker_usd'")
    assert columns == [("DECIMAL(38,8)", "buys − sells")]


def test_the_publication_table_states_where_the_marts_come_from(publisher: Publisher) -> None:
    publisher.publish_days(2)
    ((published_at, run_id, first, last, markets, settings, audit),) = publisher.query("from publication")
    assert (published_at, run_id) == (NOW.replace(tzinfo=None), "run-1")
    assert (first, last, markets) == (date(2026, 1, 1), date(2026, 1, 2), ["simulated:BTCUSDT"])
    assert (json.loads(settings), json.loads(audit)) == ({"target": "duckdb"}, {"suite": "passed"})


def test_the_tables_of_a_publication_are_listed_with_rows_and_keys(publisher: Publisher) -> None:
    publisher.publish_days(2)
    listed = publisher.query(
        "from publication_tables where table_name like 'dim%' or table_name like '%daily' order by 1"
    )
    assert listed == [(MARKETS, 1, ["market_id"]), (DAILY, 2, ["market_id", "bar_date"])]


def test_the_history_of_revised_ranks_is_part_of_every_publication(publisher: Publisher) -> None:
    published = publisher.publish_days(2)
    assert set(revisions.TABLES) <= set(published.rows)
    assert published.revised_ranks == 0


def test_an_open_reader_keeps_its_version_and_blocks_no_other(publisher: Publisher) -> None:
    publisher.publish_days(2)
    with duckdb.connect(str(publisher.serving), read_only=True) as reader:
        assert days_in(reader) == 2
        publisher.publish_days(5)
        assert days_in(reader) == 2
    with duckdb.connect(str(publisher.serving), read_only=True) as newcomer:
        assert days_in(newcomer) == 5


def test_a_publication_that_breaks_halfway_leaves_the_former_one(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish_days(2)

    def full(key: str, path: Path) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(publisher.store, "put_file", full)
    with pytest.raises(StorageError):
        publisher.publish_days(5)
    assert publisher.query(f"select count(*) from {DAILY}") == [(2,)]
    left = {path.name for path in publisher.serving.parent.iterdir() if path.is_file()}
    assert left == {"marts.duckdb", "latest.json"}


def test_a_mart_that_was_not_built_is_named(publisher: Publisher) -> None:
    publisher.build_days(1)
    with pytest.raises(PublicationError, match="mart `fct_other` is not in the warehouse"):
        publisher.publish([DAILY, "fct_other"])


def test_the_warehouse_is_free_again_for_dbt(publisher: Publisher) -> None:
    publisher.publish_days(2)
    publisher.build_days(3)


def test_every_mart_has_a_key_that_dbt_tests(manifest: Path) -> None:
    parsed = dbt.load_manifest(manifest)
    keys = mart_keys(parsed)
    assert set(dbt.marts_in(parsed)) <= set(keys)
    assert keys["fct_taker_spike_ranks"] == ("definition_id", "market_id", "side", "bar_at")


def test_a_key_holds_only_columns_that_are_never_null() -> None:
    def rules(key: str) -> dict[str, object]:
        return {
            "resource_type": "test",
            "attached_node": "model.m",
            "test_metadata": {"name": "rules", "kwargs": {"arguments": {"key": [key]}}},
        }

    columns = {"a": {"constraints": []}, "b": {"constraints": [{"type": "not_null"}]}}
    model = {"resource_type": "model", "name": "m", "columns": columns}
    assert mart_keys({"nodes": {"model.m": model, "test": rules("a")}}) == {}
    assert mart_keys({"nodes": {"model.m": model, "test": rules("b")}}) == {"m": ("b",)}
