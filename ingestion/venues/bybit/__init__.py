"""Bybit derivatives, linear and inverse.

Belongs here: assembling the venue from `symbols`, `archive`, `rest` and `feed`. Does not: any format.
"""

from __future__ import annotations

from typing import Final

from ingestion.venues.bybit.archive import BybitArchive
from ingestion.venues.bybit.feed import BybitFeed
from ingestion.venues.bybit.rest import BybitApi
from ingestion.venues.bybit.symbols import BybitSymbols
from ingestion.venues.venue import Venue

_SYMBOLS: Final = BybitSymbols()

BYBIT: Final = Venue(
    venue="bybit",
    symbols=_SYMBOLS,
    archive=BybitArchive(),
    api=BybitApi(_SYMBOLS),
    feed=BybitFeed(),
)
