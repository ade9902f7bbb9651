"""The Arrow types of stored columns.

Belongs here: one type per `Kind`, the limits of amounts, casting rows of an older schema to the current one.
Does not: which column is of which kind (`ingestion.domain.datasets`), how rows are written
(`ingestion.decode.parquet`), which objects are rewritten (`ingestion.raw.index`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa

from ingestion.domain.datasets import Dataset, Kind
from ingestion.domain.markets import base_of

INSTANT: Final = pa.timestamp("us", tz="UTC")

ARROW_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.PRICE: pa.decimal128(38, 12),
    Kind.AMOUNT: pa.decimal128(38, 8),
    Kind.RATIO: pa.decimal128(38, 18),
    Kind.INSTANT: INSTANT,
    Kind.WHOLE: pa.int64(),
    Kind.FLAG: pa.bool_(),
    Kind.TEXT: pa.string(),
}

# No real amount comes near these, and what the marts compute from smaller ones (products, sums over days) fits their
# 38 digits: one absurd row must not stop every build.
LIMITS: Final = {Kind.PRICE: Decimal(10) ** 10, Kind.AMOUNT: Decimal(10) ** 15}
LARGEST_VALUE: Final = Decimal(10) ** 16

# Wide enough that taking trailing zeros away rounds nothing that a venue could send.
_WIDE: Final = Context(prec=200)


def too_fine(kind: Any) -> str:
    """The message for a number with more decimals than its stored type (an Arrow decimal): the limit is Taker's."""
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


def with_todays_schema(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Rows stored under an older schema, in the dataset's current one: types cast without loss, new columns empty."""
    schema = dataset.schema
    if "base_multiplier" in schema.names and "base_multiplier" not in table.column_names:
        table = _with_base_multiplier(table)
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _with_base_multiplier(table: pa.Table) -> pa.Table:
    """Rows of the schema in which 1000SHIB was an asset. No asset: no multiplier."""
    bases = [base_of(name) if name else (name, None) for name in table["base_asset"].to_pylist()]
    place = table.column_names.index("base_asset")
    table = table.set_column(place, "base_asset", pa.array([asset for asset, _ in bases], pa.string()))
    return table.append_column("base_multiplier", pa.array([multiplier for _, multiplier in bases], pa.int64()))
