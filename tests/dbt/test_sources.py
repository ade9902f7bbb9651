"""The raw zone's columns are written down twice, where they are stored and where they are read: do both agree?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingestion.domain.datasets import DATASETS
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from tests.dbt.warehouse import PROJECT, read_yaml

SOURCES: dict[str, Any] = {
    table["name"]: table
    for source in read_yaml(PROJECT / "models/staging/_sources.yml")["sources"]
    for table in source["tables"]
}


def sql_type(type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return {
        pa.timestamp("us", tz="UTC"): "timestamptz",
        pa.bool_(): "boolean",
        pa.int64(): "bigint",
        pa.int32(): "integer",
        pa.string(): "varchar",
        pa.date32(): "date",
    }[type_]


def declared(table: str) -> dict[str, str]:
    return {column["name"]: column["data_type"] for column in SOURCES[table]["columns"]}


def test_every_dataset_is_a_source_and_nothing_else_is() -> None:
    assert set(SOURCES) == {*DATASETS, "receipts", "coverage", "defects"}


@pytest.mark.parametrize("name", DATASETS)
def test_a_source_declares_the_stored_columns_then_the_partitions(name: str) -> None:
    dataset = DATASETS[name]
    partitions = {"venue": "varchar", "symbol": "varchar"}
    partitions |= {"interval": "varchar"} if dataset.has_interval else {}
    partitions |= {"date": "date"} if dataset.span.value == "date" else {"month": "varchar"}
    stored = {column.name: sql_type(column.type) for column in dataset.columns}
    assert list(declared(name).items()) == [*stored.items(), *partitions.items()]


def test_the_receipt_index_has_every_column_that_is_read(tmp_path: Path) -> None:
    index = {field.name: sql_type(field.type) for field in RawZone(open_store(tmp_path)).index().schema}
    assert declared("receipts").items() <= index.items()


def test_the_coverage_table_has_every_column_that_is_read(tmp_path: Path) -> None:
    written = {field.name: sql_type(field.type) for field in RawZone(open_store(tmp_path)).coverage().schema}
    assert declared("coverage").items() <= written.items()


def test_the_defects_table_has_every_column_that_is_read(tmp_path: Path) -> None:
    written = {field.name: sql_type(field.type) for field in RawZone(open_store(tmp_path)).defects().schema}
    assert declared("defects").items() <= written.items()


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_described_and_names_its_asset(name: str) -> None:
    assert SOURCES[name]["config"]["meta"]["dagster"]["asset_key"] == [
        "raw",
        "receipts" if name in ("coverage", "defects") else name,
    ]
    assert SOURCES[name]["description"]
    assert all(column["description"] for column in SOURCES[name]["columns"])
