"""What a market is: `venue:symbol`, what it is quoted in, and what one contract is worth.

Belongs here: the identity of a market and the naming rules venues share.
Does not: where a venue's files lie (`ingestion.venues`) or numbers about a market (the warehouse).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class UnknownMarket(ValueError):
    """A market's text names no venue we know, or no symbol that the venue could have."""


class ContractType(StrEnum):
    """Linear: quantity is base, margin is quote. Inverse: quantity is contracts of a fixed USD size, margin is base."""

    LINEAR = "linear"
    INVERSE = "inverse"


SIMULATED_VENUE = "simulated"
VENUES = ("binance_um", "binance_cm", SIMULATED_VENUE)

# Dollars only, since every `_usd` column is the quote notional. FDUSD first: BTCFDUSD is BTC/FDUSD, not BTCFD/USD.
_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "USD1")
_LINEAR = re.compile(rf"^(?P<base>\w+?)(?P<quote>{'|'.join(_QUOTES)})(?P<delivery>_\d{{6}})?$")
_INVERSE = re.compile(r"^(?P<base>\w+?)(?P<quote>USD)_(?:PERP|\d{6})$")


@dataclass(frozen=True, order=True)
class Market:
    """One futures contract on one venue.

    `contract_size`: USD per contract for inverse contracts, 1 for linear ones (their quantity is base already).
    """

    venue: str
    symbol: str
    base_asset: str
    quote_asset: str
    contract_type: ContractType
    contract_size: Decimal

    @property
    def market_id(self) -> str:
        return f"{self.venue}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Market:
        """`binance_um:BTCUSDT`, `binance_cm:BTCUSD_PERP`, `simulated:…` of either kind; else UnknownMarket says why."""
        venue, separator, symbol = text.strip().partition(":")
        if not separator or not symbol:
            raise UnknownMarket(f"market `{text}` is not `venue:SYMBOL`; for example `binance_um:BTCUSDT`")
        if venue not in VENUES:
            raise UnknownMarket(f"market `{text}`: unknown venue `{venue}`; known venues are {', '.join(VENUES)}")
        if symbol != symbol.upper():
            raise UnknownMarket(f"market `{text}`: symbols are upper case; write `{venue}:{symbol.upper()}`")
        inverse = _INVERSE.match(symbol) if venue != "binance_um" else None
        if inverse:
            # Binance's contract specifications: 100 USD for bitcoin, 10 USD for every other coin.
            # The seed `markets.csv` overrides this in `dim_markets`.
            base = inverse["base"]
            size = Decimal(100) if base == "BTC" else Decimal(10)
            return cls(venue, symbol, base, "USD", ContractType.INVERSE, size)
        linear = _LINEAR.match(symbol) if venue != "binance_cm" else None
        if linear:
            return cls(venue, symbol, linear["base"], linear["quote"], ContractType.LINEAR, Decimal(1))
        shape = (
            "like BTCUSD_PERP or BTCUSD_261225" if venue == "binance_cm" else f"ending in one of {', '.join(_QUOTES)}"
        )
        raise UnknownMarket(f"market `{text}`: `{symbol}` is no symbol of {venue}, whose symbols are {shape}")

    def __str__(self) -> str:
        return self.market_id
