"""The kinds of stored columns, without Arrow, which is slow to import.

Belongs here: one name per kind. Does not: its Arrow type (`ingestion.domain.arrow`), or which column is of which kind
(`ingestion.domain.datasets`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The type of a stored column, without Arrow, which is slow to import; `ingestion.domain.arrow` has the types.

    Decided once for every dataset and venue, by the finest steps that venues publish. Prices: OKX quotes SATS and PEPE
    with 9 to 11 decimals. Quantities: at most 3 decimals on Binance and Bybit (linear contracts in base), 2 on OKX
    (contracts); files of older years print no more than 8. Nothing is rounded to fit: a value with more decimals is
    refused, and the message states that the limit is Taker's (docs/decisions/0013).
    """

    PRICE = "price of any coin: 38 digits, 12 of them decimals"
    AMOUNT = "quantity, volume or contract size: 38 digits, 8 of them decimals"
    RATIO = "ratio: 38 digits, 18 of them decimals"
    INSTANT = "instant in microseconds, UTC"
    WHOLE = "whole number of 64 bits"
    FLAG = "true or false"
    TEXT = "text"


PRICE: Final = Kind.PRICE
AMOUNT: Final = Kind.AMOUNT
RATIO: Final = Kind.RATIO
INSTANT: Final = Kind.INSTANT
WHOLE: Final = Kind.WHOLE
FLAG: Final = Kind.FLAG
TEXT: Final = Kind.TEXT
