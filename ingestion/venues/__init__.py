"""One package per venue: its symbols, its archive, its REST API and its feed.

Belongs here: the registry, a line per venue, and parsing `venue:SYMBOL`. A venue is imported when one of its markets is
parsed. Does not: anything about a single venue.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ingestion.domain.markets import ALL_SYMBOLS, SUM_OF_SIMULATED, Market, UnknownMarket

if TYPE_CHECKING:
    from ingestion.venues.venue import Venue, VenueArchive

# venue → where its `Venue` is defined
VENUES: Final[dict[str, str]] = {
    "binance_um": "ingestion.venues.binance:BINANCE_UM",
    "binance_cm": "ingestion.venues.binance:BINANCE_CM",
    "bybit": "ingestion.venues.bybit:BYBIT",
    "okx": "ingestion.venues.okx:OKX",
    "simulated": "ingestion.venues.simulated:SIMULATED",
    "simulated_b": "ingestion.venues.simulated:SIMULATED_B",
}


@cache
def venue_of(venue: str) -> Venue:
    """The venue of that name, one of `VENUES`."""
    module, _, name = VENUES[venue].partition(":")
    found: Venue = getattr(import_module(module), name)
    return found


def simulated_venues() -> tuple[str, ...]:
    """The venues of which nothing ever happened."""
    return tuple(venue for venue in VENUES if venue_of(venue).is_simulated)


def is_simulated(market_id: str) -> bool:
    """Whether it is a market of a simulated venue, or a sum over such (`simulated_all:…`)."""
    venue = market_id.partition(":")[0]
    return venue == SUM_OF_SIMULATED or (venue in VENUES and venue_of(venue).is_simulated)


def parse_market(text: str) -> Market:
    """`binance_um:BTCUSDT`, `bybit:BTCUSD`, `okx:BTC-USDT-SWAP`. Raises UnknownMarket, which states why."""
    venue, separator, symbol = text.strip().partition(":")
    if not separator or not symbol:
        raise UnknownMarket(f"market `{text}` is not `venue:SYMBOL`; for example `binance_um:BTCUSDT`")
    if venue not in VENUES:
        raise UnknownMarket(f"market `{text}`: unknown venue `{venue}`; {_meant(venue, symbol)}")
    if symbol != symbol.upper():
        raise UnknownMarket(f"market `{text}`: symbols are upper case; write `{venue}:{symbol.upper()}`")
    if symbol == ALL_SYMBOLS:
        return Market.whole_venue(venue)
    symbols = venue_of(venue).symbols
    market = symbols.parse(symbol)
    if market is None:
        raise UnknownMarket(f"market `{text}`: `{symbol}` is no symbol of {venue}, whose symbols are {symbols.shape}")
    return market


def _meant(venue: str, symbol: str) -> str:
    """The venues that a part of a name or a misspelt one may mean, each with a symbol that it can have."""
    names = [name for name in VENUES if venue and name.startswith(f"{venue.lower()}_")]
    names = names or get_close_matches(venue.lower(), VENUES, n=1)
    written = symbol.upper()
    fitting = [f"`{name}:{written}`" for name in names if venue_of(name).symbols.parse(written) is not None]
    suggested = fitting or [f"`{name}:…`, whose symbols are {venue_of(name).symbols.shape}" for name in names]
    return f"did you mean {' or '.join(suggested)}?" if suggested else f"known venues are {', '.join(VENUES)}"


def archive_of(market: Market) -> VenueArchive | None:
    """The archive layout of the market's venue, or None where the venue has no files."""
    return venue_of(market.venue).archive


def trades_dataset_of(market: Market, preferred: str) -> str:
    """The dataset that the market's flow is read from: the preferred one, or the one that the venue has instead."""
    offered = venue_of(market.venue).trade_datasets
    return preferred if preferred in offered or not offered else offered[0]
