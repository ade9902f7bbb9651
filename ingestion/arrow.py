"""The Arrow types of stored columns.

Belongs here: one type per `Kind`. Does not: which column is of which kind (`ingestion.datasets`).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from ingestion.datasets import Kind

INSTANT: Final = pa.timestamp("us", tz="UTC")

# 18 digits fit a 64-bit integer, which Parquet can delta-encode; volumes of cheap coins need more.
ARROW_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.PRICE: pa.decimal128(18, 8),
    Kind.FINE_PRICE: pa.decimal128(38, 12),
    Kind.AMOUNT: pa.decimal128(38, 8),
    Kind.RATIO: pa.decimal128(38, 18),
    Kind.INSTANT: INSTANT,
    Kind.WHOLE: pa.int64(),
    Kind.FLAG: pa.bool_(),
    Kind.TEXT: pa.string(),
}
