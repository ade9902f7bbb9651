"""A market: `venue:symbol`, its assets, and the size of one contract.

Belongs here: the identity of a market, and the naming conventions that venues share.
Does not: parsing a symbol, which each venue does its own way (`ingestion.venues.parse_market`), or numbers about a
market (dbt).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final


class UnknownMarket(ValueError):
    """The text names an unknown venue, or a symbol that the venue cannot have."""


class ContractType(StrEnum):
    """Linear: margin is quote. Inverse: quantity is contracts of a fixed USD size, margin is base."""

    LINEAR = "linear"
    INVERSE = "inverse"


# What stands in place of a venue for a sum over venues: over real ones, and over simulated ones. Never over both.
SUM_OF_VENUES: Final = "all"
SUM_OF_SIMULATED: Final = "simulated_all"
SUMS_OF_VENUES: Final = (SUM_OF_VENUES, SUM_OF_SIMULATED)
# In place of a symbol, where one object holds every symbol of the venue.
ALL_SYMBOLS: Final = "ALL"

# Dollars only, since every `_usd` column is the quote notional. FDUSD first: BTCFDUSD is BTC/FDUSD, not BTCFD/USD.
DOLLARS: Final = ("FDUSD", "USDT", "USDC", "BUSD", "USD1")

# One name per asset: venues' deviating names, and names that look like a multiple but are assets of their own
# (`"1000X": ("1000X", 1)` would be one). Exceptions to the rule of `base_of` are added here.
_BASE_EXCEPTIONS: Final[dict[str, tuple[str, int]]] = {"XBT": ("BTC", 1)}
_LETTERS: Final = r"(?P<asset>[^\W\d_]+)"
_MULTIPLES: Final = (
    re.compile(rf"^(?P<count>10{{3,8}}){_LETTERS}$"),
    re.compile(rf"^(?P<count>1M){_LETTERS}$"),
    re.compile(rf"^{_LETTERS}(?P<count>10{{3,8}})$"),
)


def base_of(symbol_base: str) -> tuple[str, int]:
    """The asset and the multiplier in a venue's base: how many units of the asset one unit of the base is.

    Cheap coins are quoted by the thousand or million, with the count before or after the name: 1000SHIB, SHIB1000,
    10000SATS and 1MBABYDOGE are SHIB (1000), SHIB (1000), SATS (10000) and BABYDOGE (1000000). Only a power of ten from
    1000 on, next to letters only, is a count: 1INCH, C98, API3, 2Z and 0G are names.
    """
    for form in _MULTIPLES:
        found = form.match(symbol_base)
        if found and symbol_base not in _BASE_EXCEPTIONS:
            count = 1_000_000 if found["count"] == "1M" else int(found["count"])
            return _BASE_EXCEPTIONS.get(found["asset"], (found["asset"], 1))[0], count
    return _BASE_EXCEPTIONS.get(symbol_base, (symbol_base, 1))


# Binance, OKX and Bybit deliver dated contracts at this hour (UTC) of the day in the symbol: a convention that is not
# part of the symbol.
DELIVERY_HOUR: Final = 8


def delivery_instant(yymmdd: str | None) -> datetime | None:
    """08:00 UTC of a symbol's six-digit day (`200925`); None for no day, or for digits that are no date."""
    if not yymmdd:
        return None
    try:
        return datetime.strptime(yymmdd, "%y%m%d").replace(hour=DELIVERY_HOUR, tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True, order=True)
class Market:
    """One futures contract on one venue.

    `contract_size`: USD per contract for inverse contracts, base per contract for linear ones (1 where the venue counts
    in base). None: only the venue's API or the seed `markets.csv` states it. `base_multiplier`: units of `base_asset`
    in one unit that the venue prices and counts (1000 for 1000SHIB). `delivers_at`: when a dated contract is delivered
    (UTC); it does not trade from then on. None for a perpetual one.
    """

    venue: str
    symbol: str
    base_asset: str
    quote_asset: str
    contract_type: ContractType
    contract_size: Decimal | None
    base_multiplier: int = 1
    delivers_at: datetime | None = None

    @property
    def market_id(self) -> str:
        return f"{self.venue}:{self.symbol}"

    @classmethod
    def of(
        cls,
        venue: str,
        symbol: str,
        symbol_base: str,
        quote_asset: str,
        contract_type: ContractType,
        contract_size: Decimal | None,
        delivers_at: datetime | None = None,
    ) -> Market:
        """The market of a symbol whose base is `symbol_base` at the venue, such as 1000SHIB."""
        base_asset, multiplier = base_of(symbol_base)
        return cls(venue, symbol, base_asset, quote_asset, contract_type, contract_size, multiplier, delivers_at)

    def as_named(self, venue_base: str, quote_asset: str) -> Market:
        """The market with the assets that the venue itself reports. A multiplier in the symbol holds in any case."""
        base_asset, multiplier = base_of(venue_base)
        multiplier = max(multiplier, self.base_multiplier)
        return replace(self, base_asset=base_asset, quote_asset=quote_asset, base_multiplier=multiplier)

    @classmethod
    def whole_venue(cls, venue: str) -> Market:
        """Represents every symbol of a venue at once: a key for objects, without a contract of its own."""
        return cls(venue, ALL_SYMBOLS, "", "", ContractType.LINEAR, None)

    def __str__(self) -> str:
        return self.market_id
