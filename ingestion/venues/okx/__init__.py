"""OKX swaps and futures.

Belongs here: assembling the venue from `symbols`, `archive`, `rest` and `feed`. Does not: any format.
"""

from __future__ import annotations

from typing import Final

from ingestion.venues.okx.archive import OkxArchive
from ingestion.venues.okx.feed import OkxFeed
from ingestion.venues.okx.rest import OkxApi
from ingestion.venues.okx.symbols import OkxSymbols
from ingestion.venues.venue import Venue

_SYMBOLS: Final = OkxSymbols()

OKX: Final = Venue(
    venue="okx",
    symbols=_SYMBOLS,
    archive=OkxArchive(),
    api=OkxApi(_SYMBOLS),
    feed=OkxFeed(),
)
