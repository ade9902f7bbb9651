"""The simulated exchange as a venue: Binance's symbols and file layout, every dataset for every market.

Belongs here: its definition, and the marker file that distinguishes its archive from a real one. Does not: generating
data (`ingestion.simulator`).
"""

from __future__ import annotations

from typing import Final

from ingestion.domain.markets import SIMULATED_VENUE, ContractType
from ingestion.venues.binance.archive import TRADE_DATASETS, BinanceArchive
from ingestion.venues.binance.symbols import LINEAR_SHAPE, BinanceSymbols
from ingestion.venues.venue import Venue

# The simulator writes this file at the root of its archive. The file must contain the word: some servers answer every
# address with a page.
SIMULATION_MARKER: Final = "SIMULATED.txt"
SIMULATION_WORD: Final = b"simulated"

SIMULATED: Final = Venue(
    venue=SIMULATED_VENUE,
    symbols=BinanceSymbols(SIMULATED_VENUE, frozenset(ContractType), LINEAR_SHAPE),
    archive=BinanceArchive(published=lambda _dataset, _market, _day: True),
    trade_datasets=TRADE_DATASETS,
)
