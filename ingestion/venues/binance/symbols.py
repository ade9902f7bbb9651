"""Binance's symbols: `BTCUSDT`, `ETHUSDT_260327` (linear), `BTCUSD_PERP`, `BTCUSD_261225` (inverse).

Belongs here: parsing a symbol into a market, with its contract size. Does not: files, REST, feeds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ingestion.domain.markets import DOLLARS, ContractType, Market, delivery_instant

_LINEAR: Final = re.compile(rf"^(?P<base>\w+?)(?P<quote>{'|'.join(DOLLARS)})(?:_(?P<delivery>\d{{6}}))?$")
_INVERSE: Final = re.compile(r"^(?P<base>\w+?)(?P<quote>USD)_(?:PERP|(?P<delivery>\d{6}))$")


@dataclass(frozen=True)
class BinanceSymbols:
    """The symbols of one venue, which has one kind of contract (`kinds`) or both."""

    venue: str
    kinds: frozenset[ContractType]
    shape: str

    def parse(self, symbol: str) -> Market | None:
        inverse = _INVERSE.match(symbol) if ContractType.INVERSE in self.kinds else None
        if inverse:
            # By Binance's contract specifications: 100 USD for bitcoin, 10 USD for every other coin.
            base = inverse["base"]
            size = Decimal(100) if base == "BTC" else Decimal(10)
            delivers_at = delivery_instant(inverse["delivery"])
            return Market.of(self.venue, symbol, base, "USD", ContractType.INVERSE, size, delivers_at)
        linear = _LINEAR.match(symbol) if ContractType.LINEAR in self.kinds else None
        if linear:
            base, quote_asset, delivers_at = linear["base"], linear["quote"], delivery_instant(linear["delivery"])
            return Market.of(self.venue, symbol, base, quote_asset, ContractType.LINEAR, Decimal(1), delivers_at)
        return None


LINEAR_SHAPE: Final = f"like BTCUSDT: an asset and one of {', '.join(DOLLARS)}"


def is_inverse(symbol: str) -> bool:
    """Whether the symbol is a COIN-M one: only these end in USD_PERP or in USD_ and a delivery day."""
    return _INVERSE.match(symbol) is not None
