"""Bybit derivatives, linear and inverse.

Belongs here: symbols, archive, api and feed of Bybit. Does not: fetching, decoding, connecting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ingestion.markets import ContractType, Market
from ingestion.venues.venue import Venue

# USDT-quoted contracts carry their quote, USDC-quoted perpetuals the word PERP; what ends in USD is inverse, and one
# contract of it is one USD. Delivery: linear `BTC-26DEC25` (USDC), `BTCUSDT-26DEC25`; inverse `BTCUSDZ25`.
_LINEAR: Final = re.compile(r"^(?P<base>\w+?)USDT(?:-\d{1,2}[A-Z]{3}\d{2})?$")
_LINEAR_USDC: Final = re.compile(r"^(?P<base>\w+?)(?:PERP|-\d{1,2}[A-Z]{3}\d{2})$")
_INVERSE: Final = re.compile(r"^(?P<base>\w+?)USD(?:[FGHJKMNQUVXZ]\d{2})?$")


@dataclass(frozen=True)
class BybitGrammar:
    shape: str = "like BTCUSDT, BTCPERP (linear) or BTCUSD (inverse)"

    def market(self, symbol: str) -> Market | None:
        linear = _LINEAR.match(symbol)
        if linear:
            return Market("bybit", symbol, linear["base"], "USDT", ContractType.LINEAR, Decimal(1))
        inverse = _INVERSE.match(symbol)
        if inverse:
            return Market("bybit", symbol, inverse["base"], "USD", ContractType.INVERSE, Decimal(1))
        usdc = _LINEAR_USDC.match(symbol)
        if usdc:
            return Market("bybit", symbol, usdc["base"], "USDC", ContractType.LINEAR, Decimal(1))
        return None


BYBIT: Final = Venue(venue="bybit", title="Bybit", grammar=BybitGrammar())
