"""The Arrow types of stored columns, and how they are encoded in Parquet.

Belongs here: one type per `Kind`, the writer of every stored object, bringing rows of an older schema to today's. Does
not: which column is of which kind (`ingestion.domain.datasets`), which objects are rewritten (`ingestion.raw.zone`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.datasets import Dataset, Kind
from ingestion.domain.markets import base_of

INSTANT: Final = pa.timestamp("us", tz="UTC")
ROW_GROUP: Final = 1 << 20

ARROW_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.PRICE: pa.decimal128(38, 12),
    Kind.AMOUNT: pa.decimal128(38, 8),
    Kind.RATIO: pa.decimal128(38, 18),
    Kind.INSTANT: INSTANT,
    Kind.WHOLE: pa.int64(),
    Kind.FLAG: pa.bool_(),
    Kind.TEXT: pa.string(),
}

# No amount comes near these, and what the marts make of smaller ones (products, sums over days) fits their 38 digits:
# one absurd row must not stop every build.
LIMITS: Final = {Kind.PRICE: Decimal(10) ** 10, Kind.AMOUNT: Decimal(10) ** 15}
LARGEST_VALUE: Final = Decimal(10) ** 16

# Wide enough that taking trailing zeros away rounds nothing that a venue could send.
_WIDE: Final = Context(prec=200)


def too_fine(kind: Any) -> str:
    """What is said of a number that has more decimals than its stored type (an Arrow decimal): the limit is ours."""
    return f"has more than the {kind.scale} decimals that Taker stores"


def unstorable(value: Decimal, kind: Any) -> str | None:
    """Why a number does not fit its stored type (an Arrow decimal) exactly; None when it does, or is no number."""
    if not value.is_finite():
        return None
    _, digits, exponent = value.normalize(_WIDE).as_tuple()
    if isinstance(exponent, int) and -exponent > kind.scale:
        return too_fine(kind)
    whole_digits = kind.precision - kind.scale
    too_large = isinstance(exponent, int) and len(digits) + exponent > whole_digits
    return f"has more than the {whole_digits} digits before the point that Taker stores" if too_large else None


def parquet_writer(schema: pa.Schema, target: Path) -> pq.ParquetWriter:
    """Dictionaries for what repeats (prices, sizes, words), deltas for what grows in small steps, zstd over it all.

    Measured on a million trades: decimals of 38 digits in a dictionary are written as fast as 64-bit ones in deltas,
    and take half the space.
    """
    growing = [field.name for field in schema if pa.types.is_int64(field.type) or pa.types.is_timestamp(field.type)]
    dictionary = [field.name for field in schema if pa.types.is_decimal(field.type) or pa.types.is_string(field.type)]
    return pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionary,
        column_encoding=dict.fromkeys(growing, "DELTA_BINARY_PACKED"),
        write_page_index=False,
    )


def with_todays_schema(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Rows stored under an older schema, in the dataset's own: types cast without loss, unknown columns empty."""
    schema = dataset.schema
    if "base_multiplier" in schema.names and "base_multiplier" not in table.column_names:
        table = _with_base_multiplier(table)
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _with_base_multiplier(table: pa.Table) -> pa.Table:
    """Rows in which 1000SHIB still was an asset of its own. No asset: no multiplier."""
    bases = [base_of(name) if name else (name, None) for name in table["base_asset"].to_pylist()]
    place = table.column_names.index("base_asset")
    table = table.set_column(place, "base_asset", pa.array([asset for asset, _ in bases], pa.string()))
    return table.append_column("base_multiplier", pa.array([multiplier for _, multiplier in bases], pa.int64()))
