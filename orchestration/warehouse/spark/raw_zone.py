"""The raw zone as tables of Spark's session catalog, `spark_catalog.raw`, in memory.

Belongs here: their columns and their partitions, which are the receipts' and nothing that was found by listing. Does
not: which rows are trusted (`raw_relation` in `dbt_project/macros/engine/raw_relation.sql`).

To list a folder costs as much as it holds: of 1,744 objects `msck repair` took a minute. The index of receipts states
every stored object; a query then lists the folders of the partitions that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import DATASETS, MERGEABLE, Dataset
from ingestion.domain.periods import Span
from ingestion.raw.months import schema_of_month
from ingestion.raw.tables import TABLES
from ingestion.raw.zone import RawZone

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA: Final = "spark_catalog.raw"
# Of the name of a table of objects that days were merged into (`raw_relation`).
OF_MONTHS: Final = "_of_months"
# Partitions of one statement.
_BATCH: Final = 2000
# Venue, symbol, interval and period.
_Object: TypeAlias = tuple[str, str, str, str]
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
        objects = stored.get(dataset.name, [])
        if dataset.name in MERGEABLE:
            of_months = [one for one in objects if len(one[-1]) == len("2024-08")]
            objects = [one for one in objects if len(one[-1]) != len("2024-08")]
            yield from _table(raw_url, dataset, OF_MONTHS, schema_of_month(dataset), Span.MONTH, of_months)
        yield from _table(raw_url, dataset, "", dataset.schema, dataset.span, objects)
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


def _table(
    raw_url: str, dataset: Dataset, suffix: str, schema: pa.Schema, span: Span, objects: Sequence[_Object]
) -> Iterator[str]:
    """The statements that declare a table of the dataset's objects of days or of months."""
    columns = [f"`{field.name}` {_type(field.type)}" for field in schema]
    of_path = {"venue": "string", "symbol": "string"} | ({"interval": "string"} if dataset.has_interval else {})
    of_path[span.value] = "date" if span is Span.DAY else "string"
    columns += [f"`{name}` {type_}" for name, type_ in of_path.items()]
    table = f"{SCHEMA}.`{dataset.name}{suffix}`"
    yield f"drop table if exists {table}"
    yield (
        f"create table {table} ({', '.join(columns)}) using parquet "
        f"partitioned by ({', '.join(f'`{name}`' for name in of_path)}) location '{raw_url}/{dataset.name}'"
    )
    partitions = [_partition(raw_url, dataset.name, list(of_path), one) for one in objects]
    for begin in range(0, len(partitions), _BATCH):
        yield f"alter table {table} add {' '.join(partitions[begin : begin + _BATCH])}"


def _stored_objects(index: pa.Table) -> dict[str, list[_Object]]:
    """Venue, symbol, interval and period of every stored object, by dataset."""
    names = ["dataset", "venue", "symbol", "interval", "period"]
    stored = index.filter(pc.equal(index["status"], "stored")).select(names).group_by(names).aggregate([])
    found: dict[str, list[_Object]] = {}
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
