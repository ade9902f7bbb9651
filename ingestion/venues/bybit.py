"""Bybit derivatives, linear and inverse.

Belongs here: symbols, archive, api and feed of Bybit. Does not: fetching, decoding, connecting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from ingestion.datasets import TRADES, Dataset
from ingestion.markets import ContractType, Market
from ingestion.periods import Period, Span
from ingestion.venues.venue import Layout, SourceColumn, SourceObject, Venue

# ---- symbols ---------------------------------------------------------------------------------------------------------

# USDT-quoted contracts carry their quote, USDC-quoted perpetuals the word PERP; what ends in USD is inverse, and one
# contract of it is one USD. Delivery: linear `BTC-26DEC25` (USDC), `BTCUSDT-26DEC25`; inverse `BTCUSDZ25`. There are no
# underscores, and so none of another venue's `BTCUSD_PERP`.
_LINEAR: Final = re.compile(r"^(?P<base>[^\W_]+?)USDT(?:-\d{1,2}[A-Z]{3}\d{2})?$")
_LINEAR_USDC: Final = re.compile(r"^(?P<base>[^\W_]+?)(?:PERP|-\d{1,2}[A-Z]{3}\d{2})$")
_INVERSE: Final = re.compile(r"^(?P<base>[^\W_]+?)USD(?:[FGHJKMNQUVXZ]\d{2})?$")


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


# ---- archive ---------------------------------------------------------------------------------------------------------

# `side` is the taker's: who sold met a buyer that rested. `size` is base for linear contracts and USD, that is
# contracts, for inverse ones. `homeNotional` repeats it, and `foreignNotional` is the other side of the trade: size ×
# price (quote) where linear, size ÷ price (base) where inverse, printed as a float. Newer files have `RPI` besides.
_TRADES: Final = Layout(
    columns=(
        SourceColumn("timestamp", "traded_at", "epoch_seconds"),
        SourceColumn("symbol", None),
        SourceColumn("side", "is_buyer_maker", true_when="Sell", false_when="Buy"),
        SourceColumn("size", "quantity"),
        SourceColumn("price", "price"),
        SourceColumn("tickDirection", None),
        SourceColumn("trdMatchID", None),
        SourceColumn("grossValue", None),
        SourceColumn("homeNotional", None),
        SourceColumn("foreignNotional", "venue_notional", is_rounded=True),
    ),
    packing="gzip",
    # Older files run backwards, and some tell the time in whole seconds: time, then every column, is the only order.
    numbers_rows=True,
    identity="trdMatchID",
)


@dataclass(frozen=True)
class BybitArchive:
    """Single trades by day, one gzip file each, without a checksum; nothing else of what we store."""

    url: str = "https://public.bybit.com"
    has_checksums: bool = False

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        return dataset.name == TRADES.name

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        return _TRADES

    def whole(self, dataset: Dataset, market: Market, interval: str, period: Period) -> SourceObject | None:
        """The one object that holds all of `period`, if the venue makes such objects."""
        if dataset.name != TRADES.name or period.span is not Span.DAY:
            return None
        return SourceObject(f"trading/{market.symbol}/{market.symbol}{period.label}.csv.gz", period)


# ---- the venue -------------------------------------------------------------------------------------------------------

BYBIT: Final = Venue(venue="bybit", title="Bybit", grammar=BybitGrammar(), archive=BybitArchive())
