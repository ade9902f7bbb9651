"""Binance's public archive: key names, what is published in which pieces, file columns.

Belongs here: everything about Binance's files. The simulated exchange writes the same layout.
Does not: downloading (`ingestion.http`), parsing mechanics (`ingestion.decode`), or what a stored column means
(`ingestion.domain.datasets`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ingestion.domain.datasets import (
    AGG_TRADES,
    FUNDING_RATE,
    KLINES,
    LIQUIDATION_SNAPSHOT,
    METRICS,
    TRADES,
    Dataset,
)
from ingestion.domain.markets import ContractType, Market
from ingestion.domain.periods import Period, Span
from ingestion.venues.venue import Layout, SourceColumn, SourceObject, TimeFormat

_EPOCH: Final = "epoch"
_TEXT: Final = "text"


def _columns(*pairs: tuple[str, str | None] | tuple[str, str | None, TimeFormat]) -> tuple[SourceColumn, ...]:
    return tuple(SourceColumn(*pair) for pair in pairs)


# In file order: old files have no header row, and are read by this order.
_AGG_TRADES = _columns(
    ("agg_trade_id", "agg_trade_id"),
    ("price", "price"),
    ("quantity", "quantity"),
    ("first_trade_id", "first_trade_id"),
    ("last_trade_id", "last_trade_id"),
    ("transact_time", "traded_at", _EPOCH),
    ("is_buyer_maker", "is_buyer_maker"),
)
_KLINES = _columns(
    ("open_time", "opened_at", _EPOCH),
    ("open", "open_price"),
    ("high", "high_price"),
    ("low", "low_price"),
    ("close", "close_price"),
    ("volume", "volume"),
    ("close_time", "closed_at", _EPOCH),
    ("quote_volume", "quote_volume"),
    ("count", "trade_count"),
    ("taker_buy_volume", "taker_buy_volume"),
    ("taker_buy_quote_volume", "taker_buy_quote_volume"),
    ("ignore", None),
)
_METRICS = _columns(
    ("create_time", "observed_at", _TEXT),
    ("symbol", "symbol_name"),
    ("sum_open_interest", "open_interest"),
    ("sum_open_interest_value", "open_interest_value"),
    ("count_toptrader_long_short_ratio", "top_trader_account_long_short_ratio"),
    ("sum_toptrader_long_short_ratio", "top_trader_position_long_short_ratio"),
    ("count_long_short_ratio", "account_long_short_ratio"),
    ("sum_taker_long_short_vol_ratio", "taker_buy_sell_ratio"),
)
_FUNDING_RATE = _columns(
    ("calc_time", "calculated_at", _EPOCH),
    ("funding_interval_hours", "funding_interval_hours"),
    ("last_funding_rate", "funding_rate"),
)
_LIQUIDATION_SNAPSHOT = _columns(
    ("time", "liquidated_at", _EPOCH),
    ("side", "side"),
    ("order_type", "order_type"),
    ("time_in_force", "time_in_force"),
    ("original_quantity", "original_quantity"),
    ("price", "price"),
    ("average_price", "average_price"),
    ("order_status", "order_status"),
    ("last_fill_quantity", "last_fill_quantity"),
    ("accumulated_fill_quantity", "accumulated_fill_quantity"),
)

_COLUMNS = {
    AGG_TRADES.name: _AGG_TRADES,
    KLINES.name: _KLINES,
    METRICS.name: _METRICS,
    FUNDING_RATE.name: _FUNDING_RATE,
    LIQUIDATION_SNAPSHOT.name: _LIQUIDATION_SNAPSHOT,
}


def _trades(contract_type: ContractType) -> tuple[SourceColumn, ...]:
    """Single trades: the only files whose header differs between the two kinds of contract."""
    return _columns(
        ("id", "trade_id"),
        ("price", "price"),
        ("qty", "quantity"),
        ("quote_qty" if contract_type is ContractType.LINEAR else "base_qty", "venue_notional"),
        ("time", "traded_at", _EPOCH),
        ("is_buyer_maker", "is_buyer_maker"),
    )


_PUBLISHED_BY_MONTH_ONLY = frozenset({FUNDING_RATE.name})
_PUBLISHED_BOTH_WAYS = frozenset({KLINES.name})

# Binance ended the snapshot ("this data is no longer provided", October 2024) and removed all USD-M files.
_COIN_M_LIQUIDATIONS = (date(2023, 6, 25), date(2024, 10, 14))


@dataclass(frozen=True)
class BinanceArchive:
    """The archive layout; `published` decides which days of a dataset are worth requesting. `root`: the folder that all
    keys lie in, with a slash at its end."""

    published: Callable[[Dataset, Market, date], bool]
    url: str = "https://data.binance.vision"
    has_checksums: bool = True
    listing_url: str = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
    root: str = ""

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        return self.published(dataset, market, day)

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        """The columns of the dataset's files for this kind of contract, in file order."""
        if dataset.name == TRADES.name:
            columns = _trades(market.contract_type)
            return Layout(columns, contract_type=market.contract_type, contract_size=market.contract_size)
        return Layout(
            tuple(
                replace(column, must_equal=market.symbol) if column.stored_as == "symbol_name" else column
                for column in _COLUMNS[dataset.name]
            ),
            contract_type=market.contract_type,
        )

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The one object that holds all of `period`, where the venue publishes such objects."""
        if period.span is Span.MONTH and dataset.name not in _PUBLISHED_BY_MONTH_ONLY | _PUBLISHED_BOTH_WAYS:
            return ()
        if period.span is Span.DAY and dataset.name in _PUBLISHED_BY_MONTH_ONLY:
            return ()
        return (SourceObject(self.root + _key(dataset, market, interval, period), period),)


# Where each symbol with monthly klines has a folder, by kind of contract.
SYMBOL_FOLDERS: Final = {
    kind: f"data/futures/{product}/monthly/{KLINES.name}"
    for kind, product in ((ContractType.LINEAR, "um"), (ContractType.INVERSE, "cm"))
}


def _key(dataset: Dataset, market: Market, interval: str, period: Period) -> str:
    product = "um" if market.contract_type is ContractType.LINEAR else "cm"
    span = "daily" if period.span is Span.DAY else "monthly"
    folder = f"data/futures/{product}/{span}/{dataset.name}/{market.symbol}"
    if dataset.has_interval:
        return f"{folder}/{interval}/{market.symbol}-{interval}-{period.label}.zip"
    return f"{folder}/{market.symbol}-{dataset.name}-{period.label}.zip"


def _binance_publishes(dataset: Dataset, market: Market, day: date) -> bool:
    if dataset.name != LIQUIDATION_SNAPSHOT.name:
        return True
    first, last = _COIN_M_LIQUIDATIONS
    return market.contract_type is ContractType.INVERSE and first <= day <= last


BINANCE_ARCHIVE: Final = BinanceArchive(published=_binance_publishes)

# The datasets of trades, the preferred one first.
TRADE_DATASETS: Final = (AGG_TRADES.name, TRADES.name)
