"""Rows of an older schema in the current one.

Belongs here: casting without loss, and columns that older objects lack. Does not: which objects are rewritten
(`ingestion.raw.index`), or what the current schema is (`ingestion.domain.datasets`).
"""

from __future__ import annotations

import pyarrow as pa

from ingestion.domain.datasets import Dataset
from ingestion.domain.markets import base_of


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
