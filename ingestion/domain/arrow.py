"""The Arrow types of stored columns.

Belongs here: one type per `Kind`. Does not: which column is of which kind, and its limits
(`ingestion.domain.datasets`), how rows are written (`ingestion.decode.parquet`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa

from ingestion.domain.kinds import Kind

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

# Wide enough that taking trailing zeros away rounds nothing that a venue could send.
_WIDE: Final = Context(prec=200)


def too_fine(kind: Any) -> str:
    """The message for a number with more decimals than its stored type (an Arrow decimal): the limit is Taker's."""
    return f"has more than the {kind.scale} decimals that Taker stores"


def unstorable(value: Decimal, kind: Any) -> str | None:
    """Why a number does not fit its stored type (an Arrow decimal) exactly; None when it does, or is no number."""
    if not value.is_finite():
        return None
    whole_digits = kind.precision - kind.scale
    if abs(value.adjusted()) > _WIDE.prec:  # beyond arithmetic, as `1e999999999` is
        exponent, too_large = min(value.adjusted(), 0), value.adjusted() > 0
    else:
        _, digits, exponent = value.normalize(_WIDE).as_tuple()  # type: ignore[assignment]  # it is finite
        too_large = len(digits) + exponent > whole_digits
    if -exponent > kind.scale:
        return too_fine(kind)
    return f"has more than the {whole_digits} digits before the point that Taker stores" if too_large else None
