"""Binance's WebSocket streams: liquidation orders and aggregated trades.

Belongs here: stream names, and what the fields of their messages mean. Does not: connecting (`ingestion.live`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from ingestion.domain.datasets import LIVE_TRADES
from ingestion.domain.markets import ContractType, Market
from ingestion.venues.binance.symbols import is_inverse
from ingestion.venues.messages import fields_if, flag, has_key, instant, integer, mapping, number, parsed, text
from ingestion.venues.venue import Event, Execution, Liquidation, Malformed, Subscription, Trade

# `st` is the product of an order, since the two were merged on 2026-06-30; older messages lack it, and there the symbol
# decides.
_PRODUCTS: Final = {1: ContractType.LINEAR, 2: ContractType.INVERSE}
_LONG_SIDES: Final = {"SELL": True, "BUY": False}  # the side of the ORDER: selling closes a long
_STREAMS_PER_CONNECTION: Final = 200


@dataclass(frozen=True)
class BinanceFeed:
    """`!forceOrder@arr` (at most one order per symbol and second), and `aggTrade` of single markets.

    Since the merger that stream carries both products on both hosts. Each venue connects to its own host and keeps only
    its own product's orders, so an order counts once, and a venue's coverage is that of its own connection.
    `product`: None for a venue that has both.
    """

    venue: str
    url: str
    product: ContractType | None
    is_every_order: bool = False
    is_venue_wide: bool = True
    longest_connection_seconds: float = 24 * 3600.0

    def subscriptions(self, markets: Sequence[Market], *, trades: bool, url: str) -> list[Subscription]:
        wanted = [Subscription(self.venue, f"{url}/stream?streams=!forceOrder@arr")]
        symbols = [market.symbol for market in markets] if trades else []
        for first in range(0, len(symbols), _STREAMS_PER_CONNECTION):
            part = tuple(symbols[first : first + _STREAMS_PER_CONNECTION])
            streams = "/".join(f"{quote(symbol.lower())}@aggTrade" for symbol in part)
            name = (
                f"{self.venue} trades" if first == 0 else f"{self.venue} trades {first // _STREAMS_PER_CONNECTION + 1}"
            )
            wanted.append(Subscription(name, f"{url}/stream?streams={streams}", LIVE_TRADES.name, part))
        return wanted

    def refusal(self, message: str | bytes) -> str | None:
        fault = fields_if(message, '"error"').get("error")
        return str(fault) if fault else None

    def is_acceptance(self, message: str | bytes) -> bool:
        return False  # the address is the subscription

    def is_market_data(self, message: str | bytes) -> bool:
        return has_key(message, "data")

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
        if self.product is None:
            return True
        if product is None:
            return is_inverse(text(fields, "s")) == (self.product is ContractType.INVERSE)
        if not isinstance(product, int) or product not in _PRODUCTS:
            raise Malformed(f"`st` is neither 1 (USD-M) nor 2 (COIN-M): {product!r}")
        return _PRODUCTS[product] is self.product


def _liquidation(order: dict[str, Any]) -> Liquidation:
    symbol, side, status = text(order, "s"), text(order, "S"), text(order, "X")
    if side not in _LONG_SIDES:
        raise Malformed(f"`S` is neither SELL nor BUY: {side!r}")
    # `p` is the order's limit near the bankruptcy price, `q` the ordered quantity; `ap` and `z` are the executed price
    # and quantity so far.
    price, quantity = number(order, "ap"), number(order, "z")
    at = integer(order, "T")
    return Liquidation(
        symbol=symbol,
        liquidated_at=instant(order, "T"),
        is_long_liquidated=_LONG_SIDES[side],
        price=price,
        quantity=quantity,
        venue_side=side,
        order_status=status,
        event_id=f"{symbol}:{at}:{side}:{price}:{quantity}:{status}",
        original_quantity=number(order, "q"),
        limit_price=number(order, "p"),
    )


def _aggregate(fields: dict[str, Any]) -> Trade:
    """`aggTrade`: market trades only, so there is no `X` in it."""
    first, last = integer(fields, "f"), integer(fields, "l")
    if last < first:
        raise Malformed(f"`l` {last} is before `f` {first}")
    aggregate = integer(fields, "a")
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
    """`trade`, which Binance does not document for futures. Without an `X` it is not known to be a market trade."""
    executions = (Execution.MARKET, Execution.ADL, Execution.INSURANCE_FUND)
    execution = fields.get("X")
    trade_id = integer(fields, "t")
    return Trade(
        symbol=text(fields, "s"),
        trade_id=str(trade_id),
        number=trade_id,
        traded_at=instant(fields, "T"),
        price=number(fields, "p"),
        quantity=number(fields, "q"),
        is_taker_buy=not flag(fields, "m"),
        execution=execution if execution in executions else Execution.UNKNOWN,
    )
