"""One module per venue: which symbols it has, where its files lie, how its rows and messages read, which side is which.

Belongs here: the registry, a line per venue. A module is imported when one of its markets is named.
Does not: anything about a single venue.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ingestion.domain.markets import Market
    from ingestion.venues.venue import Venue, VenueArchive

# venue → where its `Venue` is defined
VENUES: Final[dict[str, str]] = {
    "binance_um": "ingestion.venues.binance:BINANCE_UM",
    "binance_cm": "ingestion.venues.binance:BINANCE_CM",
    "bybit": "ingestion.venues.bybit:BYBIT",
    "okx": "ingestion.venues.okx:OKX",
    "simulated": "ingestion.venues.binance:SIMULATED",
}


@cache
def venue_of(venue: str) -> Venue:
    """The venue of that name, one of `VENUES`."""
    module, _, name = VENUES[venue].partition(":")
    found: Venue = getattr(import_module(module), name)
    return found


def archive_of(market: Market) -> VenueArchive | None:
    """The archive layout of the market's venue, or None where the venue has no files."""
    return venue_of(market.venue).archive


def trades_dataset_of(market: Market, preferred: str) -> str:
    """The dataset that the market's flow is read from: the preferred one, or what the venue has instead."""
    offered = venue_of(market.venue).trade_datasets
    return preferred if preferred in offered else offered[0]
