"""Binance futures, USD-M and COIN-M, and the simulated exchange that writes Binance's layout.

Belongs here: symbols, key names, what is published in which pieces, file columns; streams, and what their fields mean.
Does not: fetching, connecting, parsing mechanics (`ingestion.decode`), or what a stored column means
(`ingestion.datasets`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from ingestion.datasets import (
    AGG_TRADES,
    FUNDING_RATE,
    KLINES,
    LIQUIDATION_SNAPSHOT,
    LIVE_TRADES,
    METRICS,
    TRADES,
    Dataset,
)
from ingestion.markets import DOLLARS, SIMULATED_VENUE, ContractType, Market
from ingestion.periods import Period, Span
from ingestion.venues.messages import flag, instant, mapping, number, parsed, text, whole
from ingestion.venues.venue import (
    Event,
    Execution,
    Layout,
    Liquidation,
    Malformed,
    SourceColumn,
    SourceObject,
    Subscription,
    TimeFormat,
    Trade,
    Venue,
)

_EPOCH: Final = "epoch"
_TEXT: Final = "text"

# ---- symbols ---------------------------------------------------------------------------------------------------------

_LINEAR: Final = re.compile(rf"^(?P<base>\w+?)(?P<quote>{'|'.join(DOLLARS)})(?P<delivery>_\d{{6}})?$")
_INVERSE: Final = re.compile(r"^(?P<base>\w+?)(?P<quote>USD)_(?:PERP|\d{6})$")


@dataclass(frozen=True)
class BinanceGrammar:
    """`BTCUSDT`, `ETHUSDT_260327` (linear), `BTCUSD_PERP`, `BTCUSD_261225` (inverse); a venue has one kind or both."""

    venue: str
    kinds: frozenset[ContractType]
    shape: str

    def market(self, symbol: str) -> Market | None:
        inverse = _INVERSE.match(symbol) if ContractType.INVERSE in self.kinds else None
        if inverse:
            # Binance's contract specifications: 100 USD for bitcoin, 10 USD for every other coin.
            base = inverse["base"]
            size = Decimal(100) if base == "BTC" else Decimal(10)
            return Market(self.venue, symbol, base, "USD", ContractType.INVERSE, size)
        linear = _LINEAR.match(symbol) if ContractType.LINEAR in self.kinds else None
        if linear:
            return Market(self.venue, symbol, linear["base"], linear["quote"], ContractType.LINEAR, Decimal(1))
        return None


_ENDING: Final = f"ending in one of {', '.join(DOLLARS)}"

# ---- archive ---------------------------------------------------------------------------------------------------------


def _columns(*pairs: tuple[str, str | None] | tuple[str, str | None, TimeFormat]) -> tuple[SourceColumn, ...]:
    return tuple(SourceColumn(*pair) for pair in pairs)


# In file order: old files have no header row, and then only the order says what a column is.
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

# Binance ended the snapshot ("this data is no longer provided", October 2024) and removed every USD-M file.
_COIN_M_LIQUIDATIONS = (date(2023, 6, 25), date(2024, 10, 14))


@dataclass(frozen=True)
class BinanceArchive:
    """The archive layout; `published` decides which days of a dataset are worth asking for at all."""

    published: Callable[[Dataset, Market, date], bool]
    url: str = "https://data.binance.vision"
    has_checksums: bool = True

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        return self.published(dataset, market, day)

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        """The columns of the dataset's files for this kind of contract, in file order."""
        return Layout(_trades(market.contract_type) if dataset.name == TRADES.name else _COLUMNS[dataset.name])

    def whole(self, dataset: Dataset, market: Market, interval: str, period: Period) -> SourceObject | None:
        """The one object that holds all of `period`, if the venue makes such objects."""
        if period.span is Span.MONTH and dataset.name not in _PUBLISHED_BY_MONTH_ONLY | _PUBLISHED_BOTH_WAYS:
            return None
        if period.span is Span.DAY and dataset.name in _PUBLISHED_BY_MONTH_ONLY:
            return None
        return SourceObject(_key(dataset, market, interval, period), period)


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


_ARCHIVE: Final = BinanceArchive(published=_binance_publishes)

# ---- feed ------------------------------------------------------------------------------------------------------------

# `st` says which product an order is of, since the two were merged on 2026-06-30; older messages lack it, and there the
# symbol tells: only COIN-M contracts end in USD_PERP or USD_ and a delivery day.
_PRODUCTS: Final = {1: ContractType.LINEAR, 2: ContractType.INVERSE}
_LONG_SIDES: Final = {"SELL": True, "BUY": False}  # the side of the ORDER: selling closes a long
_STREAMS_PER_CONNECTION: Final = 200


@dataclass(frozen=True)
class BinanceFeed:
    """`!forceOrder@arr` (at most one order per symbol and second), and `aggTrade` of single markets.

    Since the merger that stream carries both products on both hosts. Each venue listens on its own host and keeps its
    own product's orders only, so an order counts once, and a venue's coverage is that of its own connection.
    """

    url: str
    product: ContractType
    is_every_order: bool = False
    is_venue_wide: bool = True
    longest_connection_seconds: float = 24 * 3600.0

    def subscriptions(self, markets: Sequence[Market], *, trades: bool, url: str) -> list[Subscription]:
        venue = "binance_um" if self.product is ContractType.LINEAR else "binance_cm"
        wanted = [Subscription(venue, f"{url}/stream?streams=!forceOrder@arr")]
        symbols = [market.symbol for market in markets] if trades else []
        for first in range(0, len(symbols), _STREAMS_PER_CONNECTION):
            part = tuple(symbols[first : first + _STREAMS_PER_CONNECTION])
            streams = "/".join(f"{quote(symbol.lower())}@aggTrade" for symbol in part)
            name = f"{venue} trades" if first == 0 else f"{venue} trades {first // _STREAMS_PER_CONNECTION + 1}"
            wanted.append(Subscription(name, f"{url}/stream?streams={streams}", LIVE_TRADES.name, part))
        return wanted

    def refusal(self, message: str | bytes) -> str | None:
        if (b'"error"' if isinstance(message, bytes) else '"error"') not in message:  # type: ignore[operator]
            return None
        try:
            fault = mapping(parsed(message), "the message").get("error")
        except Malformed:
            return None
        return str(fault) if fault else None

    def read(self, message: str | bytes) -> Iterator[Event]:
        outer = mapping(parsed(message), "the message")
        if "id" in outer and "stream" not in outer:
            return  # the answer to a request
        data = mapping(outer.get("data", outer), "`data`")
        kind = data.get("e")
        if kind == "forceOrder":
            order = mapping(data.get("o"), "`o`")
            if self._is_own(order, order.get("st", data.get("st"))):
                yield _liquidation(order)
        elif kind == "aggTrade":
            if self._is_own(data, data.get("st")):
                yield _aggregate(data)
        elif kind == "trade":
            if self._is_own(data, data.get("st")):
                yield _single_trade(data)
        else:
            raise Malformed(f"`e` is none of forceOrder, aggTrade, trade: {kind!r}")

    def _is_own(self, fields: dict[str, Any], product: Any) -> bool:
        if product is None:
            inverse = _INVERSE.match(text(fields, "s")) is not None
            return inverse == (self.product is ContractType.INVERSE)
        if not isinstance(product, int) or product not in _PRODUCTS:
            raise Malformed(f"`st` is neither 1 (USD-M) nor 2 (COIN-M): {product!r}")
        return _PRODUCTS[product] is self.product


def _liquidation(order: dict[str, Any]) -> Liquidation:
    symbol, side, status = text(order, "s"), text(order, "S"), text(order, "X")
    if side not in _LONG_SIDES:
        raise Malformed(f"`S` is neither SELL nor BUY: {side!r}")
    # `p` is the order's limit near the bankruptcy price, `q` what was ordered; `ap` and `z` are what was traded.
    price, quantity = number(order, "ap"), number(order, "z")
    at = whole(order, "T")
    return Liquidation(
        symbol=symbol,
        liquidated_at=instant(order, "T"),
        is_long_liquidated=_LONG_SIDES[side],
        price=price,
        quantity=quantity,
        venue_side=side,
        order_status=status,
        event_id=f"{symbol}:{at}:{side}:{price}:{quantity}:{status}",
    )


def _aggregate(fields: dict[str, Any]) -> Trade:
    """`aggTrade`: market trades only, so there is no `X` in it."""
    first, last = whole(fields, "f"), whole(fields, "l")
    if last < first:
        raise Malformed(f"`l` {last} is before `f` {first}")
    aggregate = whole(fields, "a")
    return Trade(
        symbol=text(fields, "s"),
        trade_id=str(aggregate),
        number=aggregate,
        traded_at=instant(fields, "T"),
        price=number(fields, "p"),
        quantity=number(fields, "q"),
        is_taker_buy=not flag(fields, "m"),
        trade_count=last - first + 1,
        normal_quantity=number(fields, "nq") if "nq" in fields else None,
    )


def _single_trade(fields: dict[str, Any]) -> Trade:
    """`trade`, which Binance does not document for futures. Without an `X` nobody says that the market made it."""
    executions = (Execution.MARKET, Execution.ADL, Execution.INSURANCE_FUND)
    said = fields.get("X")
    trade_id = whole(fields, "t")
    return Trade(
        symbol=text(fields, "s"),
        trade_id=str(trade_id),
        number=trade_id,
        traded_at=instant(fields, "T"),
        price=number(fields, "p"),
        quantity=number(fields, "q"),
        is_taker_buy=not flag(fields, "m"),
        execution=said if said in executions else Execution.UNKNOWN,
    )


# ---- the venues ------------------------------------------------------------------------------------------------------

_TRADES: Final = (AGG_TRADES.name, TRADES.name)

BINANCE_UM: Final = Venue(
    venue="binance_um",
    title="Binance USD-M",
    grammar=BinanceGrammar("binance_um", frozenset({ContractType.LINEAR}), _ENDING),
    archive=_ARCHIVE,
    feed=BinanceFeed("wss://fstream.binance.com/market", ContractType.LINEAR),
    trade_datasets=_TRADES,
)
BINANCE_CM: Final = Venue(
    venue="binance_cm",
    title="Binance COIN-M",
    grammar=BinanceGrammar("binance_cm", frozenset({ContractType.INVERSE}), "like BTCUSD_PERP or BTCUSD_261225"),
    archive=_ARCHIVE,
    # COIN-M keeps a host of its own, with the same paths.
    feed=BinanceFeed("wss://dstream.binance.com/market", ContractType.INVERSE),
    trade_datasets=_TRADES,
)
# The simulated exchange writes Binance's layout and publishes every dataset for every market.
SIMULATED: Final = Venue(
    venue=SIMULATED_VENUE,
    title="Simulated exchange",
    grammar=BinanceGrammar(SIMULATED_VENUE, frozenset(ContractType), _ENDING),
    archive=BinanceArchive(published=lambda _dataset, _market, _day: True),
    trade_datasets=_TRADES,
    is_simulated=True,
)
