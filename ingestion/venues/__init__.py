"""One module per venue: where its files lie, how its rows read, which side is which.

Belongs here: the registry. Does not: anything about a single venue.
"""

from __future__ import annotations

from ingestion.markets import Market
from ingestion.venues.binance import BINANCE, SIMULATED, BinanceArchive

_ARCHIVES = {"binance_um": BINANCE, "binance_cm": BINANCE, "simulated": SIMULATED}


def archive_of(market: Market) -> BinanceArchive:
    """The archive layout of the market's venue."""
    return _ARCHIVES[market.venue]
