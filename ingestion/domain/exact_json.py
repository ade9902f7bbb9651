"""JSON whose fractions are exact.

Belongs here: reading it. Does not: what its fields mean (`ingestion.venues`), or what becomes of an error.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

# Far beyond every column, and small enough that a whole number of it costs nothing: of `1e999999999` it would be a
# gigabyte of digits.
_LARGEST_EXPONENT: Final = 100


def read_json(text: str | bytes) -> Any:
    """The values of `text`, with Decimal for fractions.

    ValueError for what is no JSON, is nested too deeply, or holds a number beyond any that can be stored.
    """
    try:
        return json.loads(text, parse_float=_exact)
    # A number with an exponent of twenty digits is no Decimal.
    except (RecursionError, ArithmeticError) as error:
        raise ValueError(str(error)) from None


def _exact(text: str) -> Decimal:
    exact = Decimal(text)
    if abs(exact.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError(f"a number beyond any that can be stored: {text[:40]}")
    return exact
