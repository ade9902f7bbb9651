"""The simulated exchanges as venues: Binance's symbols, file layout and messages.

Belongs here: their definitions, and the marks that distinguish their archive, and each of its files, from real ones.
Does not: generating data (`ingestion.simulator`).
"""

from __future__ import annotations

from typing import Final

from ingestion.domain.datasets import KLINES
from ingestion.domain.markets import ContractType
from ingestion.venues.binance.archive import SYMBOL_FOLDERS, TRADE_DATASETS, BinanceArchive
from ingestion.venues.binance.feed import BinanceFeed
from ingestion.venues.binance.symbols import LINEAR_SHAPE, BinanceSymbols
from ingestion.venues.venue import Venue

# The simulator writes this file at the root of its archive. The file must contain the word: some servers answer every
# address with a page.
SIMULATION_MARKER: Final = "SIMULATED.txt"
SIMULATION_WORD: Final = b"simulated"
# The comment of every zip that the simulator writes. The marker file is a hint for the whole archive, which a server
# may withhold; a file with this mark is never stored as another venue's, wherever it was fetched from. A venue whose
# files are packed otherwise cannot be simulated: the simulator writes Binance's layout only.
SIMULATION_MARK: Final = b"SIMULATED DATA. Nothing in this file ever happened."

SIMULATED: Final = Venue(
    venue="simulated",
    symbols=BinanceSymbols("simulated", frozenset(ContractType), LINEAR_SHAPE),
    archive=BinanceArchive(published=lambda _dataset, _market, _day: True),
    # Without an address: it is replayed on loopback by who has its messages (`ingestion.simulator.feed`).
    feed=BinanceFeed("simulated", "", product=None),
    trade_datasets=TRADE_DATASETS,
    is_simulated=True,
    symbol_folders=tuple(SYMBOL_FOLDERS.values()),
)
# A smaller exchange in a folder of the same archive, so that one address serves both. It publishes klines and nothing
# else.
_B: Final = "simulated_b/"
SIMULATED_B: Final = Venue(
    venue="simulated_b",
    symbols=BinanceSymbols("simulated_b", frozenset({ContractType.LINEAR}), LINEAR_SHAPE),
    archive=BinanceArchive(published=lambda dataset, _market, _day: dataset.name == KLINES.name, root=_B),
    trade_datasets=(),
    is_simulated=True,
    symbol_folders=(_B + SYMBOL_FOLDERS[ContractType.LINEAR],),
)
