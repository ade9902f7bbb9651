"""Binance futures, USD-M and COIN-M: two venues that share their symbols, files and message formats.

Belongs here: assembling the two venues from `symbols`, `archive`, `rest` and `feed`. Does not: any format.
"""

from __future__ import annotations

from typing import Final

from ingestion.domain.markets import ContractType
from ingestion.venues.binance.archive import BINANCE_ARCHIVE, SYMBOL_FOLDERS, TRADE_DATASETS
from ingestion.venues.binance.feed import BinanceFeed
from ingestion.venues.binance.rest import BinanceApi
from ingestion.venues.binance.symbols import LINEAR_SHAPE, BinanceSymbols
from ingestion.venues.venue import Venue

_UM: Final = BinanceSymbols("binance_um", frozenset({ContractType.LINEAR}), LINEAR_SHAPE)
_CM: Final = BinanceSymbols("binance_cm", frozenset({ContractType.INVERSE}), "like BTCUSD_PERP or BTCUSD_261225")

BINANCE_UM: Final = Venue(
    venue="binance_um",
    symbols=_UM,
    archive=BINANCE_ARCHIVE,
    api=BinanceApi(_UM, "https://fapi.binance.com", "/fapi/v1"),
    feed=BinanceFeed("binance_um", "wss://fstream.binance.com/market", ContractType.LINEAR),
    trade_datasets=TRADE_DATASETS,
    symbol_folders=(SYMBOL_FOLDERS[ContractType.LINEAR],),
)
BINANCE_CM: Final = Venue(
    venue="binance_cm",
    symbols=_CM,
    archive=BINANCE_ARCHIVE,
    api=BinanceApi(_CM, "https://dapi.binance.com", "/dapi/v1"),
    # COIN-M has a host of its own, with the same paths.
    feed=BinanceFeed("binance_cm", "wss://dstream.binance.com/market", ContractType.INVERSE),
    trade_datasets=TRADE_DATASETS,
    symbol_folders=(SYMBOL_FOLDERS[ContractType.INVERSE],),
)
