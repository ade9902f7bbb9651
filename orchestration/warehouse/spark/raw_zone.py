"""The raw zone as tables of Spark's session catalog, `spark_catalog.raw`, in memory.

Belongs here: their columns and their partitions, which are the receipts' and nothing that was found by listing. Does
not: which rows are trusted (`raw_relation` in `dbt_project/macros/engine/raw_relation.sql`).

To list a folder costs as much as it holds: of 1,744 objects `msck repair` took a minute. The index of receipts states
every stored object; a query then lists the folders of the partitions that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import DATASETS
from ingestion.raw.tables import TABLES
from ingestion.raw.zone import RawZone

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA: Final = "spark_catalog.raw"
# Partitions of one statement.
_BATCH: Final = 2000
_TYPES: Final[Mapping[pa.DataType, str]] = {
    INSTANT: "timestamp",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.string(): "string",
    pa.date32(): "date",
}


def declare(session: SparkSession, raw_url: str, zone: RawZone) -> None:
    """Declare every dataset and every table derived from receipts, as the zone's index has them now.

    `raw_url`: the zone as Spark's file systems name it, without a trailing slash.
    """
    for statement in statements(raw_url, zone):
        session.sql(statement)


def statements(raw_url: str, zone: RawZone) -> Iterator[str]:
    """The statements of `declare`: a schema, then tables, each followed by its partitions."""
    yield f"create schema if not exists {SCHEMA}"
    stored = _stored_objects(zone.index())
    for dataset in DATASETS.values():
        columns = [f"`{column.name}` {_type(column.type)}" for column in dataset.columns]
        of_path = {"venue": "string", "symbol": "string"} | ({"interval": "string"} if dataset.has_interval else {})
        of_path[dataset.span.value] = "date" if dataset.span.value == "date" else "string"
        columns += [f"`{name}` {type_}" for name, type_ in of_path.items()]
        table = f"{SCHEMA}.`{dataset.name}`"
        yield f"drop table if exists {table}"
        yield (
            f"create table {table} ({', '.join(columns)}) using parquet "
            f"partitioned by ({', '.join(f'`{name}`' for name in of_path)}) location '{raw_url}/{dataset.name}'"
        )
        partitions = [_partition(raw_url, dataset.name, list(of_path), one) for one in stored.get(dataset.name, ())]
        for begin in range(0, len(partitions), _BATCH):
            yield f"alter table {table} add {' '.join(partitions[begin : begin + _BATCH])}"
    for derived in TABLES:
        name = derived.key.rpartition("/")[2].removesuffix(".parquet")
        columns = [f"`{field.name}` {_type(field.type)}" for field in derived.schema]
        held = zone.store.get_bytes(derived.key) is not None
        yield f"drop table if exists {SCHEMA}.`{name}`"
        # One that was not written yet is empty: a table of the catalog's own folder.
        yield (
            f"create table {SCHEMA}.`{name}` ({', '.join(columns)}) using parquet"
            + (f" location '{raw_url}/{name}.parquet'" if held else "")
        )


def _stored_objects(index: pa.Table) -> dict[str, list[tuple[str, str, str, str]]]:
    """Venue, symbol, interval and period of every stored object, by dataset."""
    names = ["dataset", "venue", "symbol", "interval", "period"]
    stored = index.filter(pc.equal(index["status"], "stored")).select(names).group_by(names).aggregate([])
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for dataset, *rest in sorted(zip(*(stored[name].to_pylist() for name in names), strict=True)):
        found.setdefault(dataset, []).append(tuple(rest))
    return found


def _partition(raw_url: str, dataset: str, names: list[str], one: tuple[str, str, str, str]) -> str:
    venue, symbol, interval, period = one
    values = {"venue": venue, "symbol": symbol, "interval": interval, "date": period, "month": period}
    keys = ", ".join(f"`{name}`='{values[name]}'" for name in names)
    folder = "/".join(f"{name}={values[name]}" for name in names)
    return f"partition ({keys}) location '{raw_url}/{dataset}/{folder}'"


def _type(type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return _TYPES[type_]
