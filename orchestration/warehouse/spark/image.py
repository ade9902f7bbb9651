"""The warehouse's Iceberg tables as a DuckDB file, `warehouse.duckdb`, for the audit and the publication.

Belongs here: copying them as a build left them. Does not: what is audited (`orchestration.warehouse.audit`) or
published (`orchestration.warehouse.publish`), which read that file whatever engine built it.

DuckDB reads the tables' own Parquet files, by the names that the catalog has for the snapshot of now: no file is found
by listing, and what a later build does changes nothing. Iceberg writes columns that begin with a digit under other
names, so columns are taken by their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.database_file import replaced
from orchestration.warehouse.spark.conf import SCHEMA
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The table of the file that states which snapshot each of the others is a copy of: in a schema of its own, since it is
# nothing that dbt has built.
SNAPSHOTS: Final = "iceberg.snapshots"

_TYPES: Final = {"string": "varchar"}
# Table to its description, and to those of its columns.
Descriptions = Mapping[str, tuple[str, Mapping[str, str]]]


class NotCopied(Exception):
    """A table cannot be copied as it is. The text states which and why."""


def write(session: SparkSession, path: Path, descriptions: Descriptions) -> None:
    """Replace the file at `path`, at once, by the tables of the schema with their comments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as staged:
        _fill(staged, session, descriptions)


def _fill(path: Path, session: SparkSession, descriptions: Descriptions) -> None:
    import duckdb

    names = sorted(row["tableName"] for row in session.sql(f"show tables in {SCHEMA}").collect())
    with duckdb.connect(str(path)) as out:
        out.execute("set timezone = 'UTC'")
        out.execute(f"create schema {SNAPSHOTS.partition('.')[0]}")
        out.execute(f"create table {SNAPSHOTS} (table_name varchar, snapshot_id bigint)")
        for name in names:
            out.execute(f"insert into {SNAPSHOTS} values (?, ?)", [name, _snapshot(session, name)])
            columns = [(field.name, field.dataType.simpleString()) for field in session.table(name).schema.fields]
            out.execute(_statement(name, columns, _data_files(session, name)))
            _comment(out, name, descriptions.get(name))
        out.execute("checkpoint")


def _snapshot(session: SparkSession, name: str) -> int | None:
    """The number of the current snapshot; None for a table without any."""
    spark3 = session._jvm.org.apache.iceberg.spark.Spark3Util
    found = spark3.loadIcebergTable(session._jsparkSession, f"{SCHEMA}.{name}").currentSnapshot()
    return None if found is None else int(found.snapshotId())


def _data_files(session: SparkSession, name: str) -> list[str]:
    """The addresses of the files that hold the rows of the current snapshot. NotCopied where other files take rows out
    of them again."""
    found = session.sql(f"select content, file_path from {SCHEMA}.{name}.files").collect()
    if any(row["content"] for row in found):
        raise NotCopied(
            f"the table {name} has files of deleted rows (merge-on-read), which are not applied here; rewrite it "
            "(`call lake.system.rewrite_data_files`) and let its tables be written copy-on-write"
        )
    return sorted(row["file_path"] for row in found)


def _statement(name: str, columns: list[tuple[str, str]], files: list[str]) -> str:
    """CREATE TABLE … AS, of the rows of these files."""
    typed = [(column, _TYPES.get(type_, type_)) for column, type_ in columns]
    if files:
        # Spark's timestamps are instants, and in UTC they are the naive ones of the models.
        values = [
            f"make_timestamp(epoch_us({identifier(column)}))"
            if type_ == "timestamp"
            else f"cast({identifier(column)} as {type_})"
            for column, type_ in typed
        ]
        places = ", ".join(identifier(column) for column, _ in typed)
        paths = ", ".join(literal(file.removeprefix("file:").replace("s3a://", "s3://")) for file in files)
        rows = f"from read_parquet([{paths}]) as files({places})"
    else:
        values, rows = [f"cast(null as {type_})" for _, type_ in typed], "where false"
    selected = ", ".join(f"{value} as {identifier(column)}" for value, (column, _) in zip(values, typed, strict=True))
    return f"create table {identifier(name)} as select {selected} {rows}"


def _comment(out: Any, name: str, description: tuple[str, Mapping[str, str]] | None) -> None:
    if description is None:
        return
    text, columns = description
    if text:
        out.execute(f"comment on table {identifier(name)} is {literal(text)}")
    for column, column_text in columns.items():
        if column_text:
            out.execute(f"comment on column {identifier(name)}.{identifier(column)} is {literal(column_text)}")
