"""The Arrow types of stored columns.

Belongs here: one type per `Kind`, and the limits of amounts. Does not: which column is of which kind
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
