"""OKX's WebSocket channels: liquidation orders and trades.

Belongs here: channel names, and what the fields of their messages mean: which side of a trade is the taker's, and
which position, long or short, a liquidation closed. Does not: connecting (`ingestion.live`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestion.domain.datasets import LIVE_TRADES
from ingestion.domain.markets import Market
from ingestion.venues.messages import (
    Occurrences,
    fields_if,
    has_key,
    instant,
    integer,
    listed,
    mapping,
    number,
    parsed,
    text,
)
from ingestion.venues.venue import Event, Liquidation, Malformed, Subscription, Trade

_TAKER_SIDES: Final = {"buy": True, "sell": False}
# In net mode a position has no side; the side of the order that closed it decides: selling closes a long.
_LONG_POSITIONS: Final = {"long": True, "short": False}
_LONG_ORDERS: Final = {"sell": True, "buy": False}
_CHANNELS_PER_REQUEST: Final = 100


@dataclass(frozen=True)
class OkxFeed:
    """`liquidation-orders` of swaps and futures (at most one order per contract and second), and `trades`.

    `sz` is in contracts. `bkPx`, the bankruptcy price, is the only one that the venue gives.
    """

    url: str = "wss://ws.okx.com:8443/ws/v5/public"
    is_every_order: bool = False
    is_venue_wide: bool = True
    longest_connection_seconds: float = 24 * 3600.0

    def subscriptions(self, markets: Sequence[Market], *, trades: bool, url: str) -> list[Subscription]:
        kinds = [{"channel": "liquidation-orders", "instType": kind} for kind in ("SWAP", "FUTURES")]
        wanted = [_subscription("okx", url, kinds)]
        if trades and markets:
            symbols = tuple(market.symbol for market in markets)
            channels = [{"channel": "trades", "instId": symbol} for symbol in symbols]
            wanted.append(_subscription("okx trades", url, channels, LIVE_TRADES.name, symbols))
        return wanted

    def refusal(self, message: str | bytes) -> str | None:
        fields = fields_if(message, '"error"')
        return str(fields.get("msg") or "no reason given") if fields.get("event") == "error" else None

    def is_acceptance(self, message: str | bytes) -> bool:
        return fields_if(message, '"subscribe"').get("event") == "subscribe"

    def is_market_data(self, message: str | bytes) -> bool:
        return has_key(message, "data")

    def read(self, message: str | bytes) -> Iterator[Event]:
        if message in ("pong", b"pong"):
            return
        outer = mapping(parsed(message), "the message")
        if "event" in outer:
            return  # an acknowledgement, an error, or a notice of maintenance
        channel = text(mapping(outer.get("arg"), "`arg`"), "channel")
        rows = [mapping(row, "a row of `data`") for row in listed(outer.get("data"), "`data`")]
        if channel == "liquidation-orders":
            occurrences = Occurrences()
            for row in rows:
                symbol = text(row, "instId")
                for detail in listed(row.get("details"), "`details`"):
                    yield _liquidation(symbol, mapping(detail, "a row of `details`"), occurrences)
        elif channel == "trades":
            for row in rows:
                yield _trade(row)
        else:
            raise Malformed(f"`channel` is neither liquidation-orders nor trades: {channel!r}")


def _subscription(
    name: str,
    url: str,
    channels: Sequence[dict[str, str]],
    dataset: str = "liquidations",
    symbols: tuple[str, ...] = (),
) -> Subscription:
    parts = [
        channels[first : first + _CHANNELS_PER_REQUEST] for first in range(0, len(channels), _CHANNELS_PER_REQUEST)
    ]
    return Subscription(
        name=name,
        url=url,
        dataset=dataset,
        symbols=symbols,
        subscribe_messages=tuple(json.dumps({"op": "subscribe", "args": part}, ensure_ascii=False) for part in parts),
        # The venue ends a connection after 30 seconds without a message from the client.
        heartbeat="ping",
        heartbeat_seconds=20.0,
    )


def _liquidation(symbol: str, detail: dict[str, Any], occurrences: Occurrences) -> Liquidation:
    side, position = text(detail, "side"), text(detail, "posSide") if detail.get("posSide") else "net"
    if side not in _LONG_ORDERS:
        raise Malformed(f"`side` is neither buy nor sell: {side!r}")
    if position != "net" and position not in _LONG_POSITIONS:
        raise Malformed(f"`posSide` is none of long, short, net: {position!r}")
    price, quantity = number(detail, "bkPx"), number(detail, "sz")
    return Liquidation(
        symbol=symbol,
        liquidated_at=instant(detail, "ts"),
        is_long_liquidated=_LONG_ORDERS[side] if position == "net" else _LONG_POSITIONS[position],
        price=price,
        quantity=quantity,
        venue_side=side if position == "net" else f"{side} {position}",
        order_status="",
        event_id=occurrences.event_id(symbol, integer(detail, "ts"), side, position, price, quantity),
    )


def _trade(row: dict[str, Any]) -> Trade:
    """Trades of one taker order at one price, as one row; the id is that of the last, so ids are not contiguous."""
    side = text(row, "side")
    if side not in _TAKER_SIDES:
        raise Malformed(f"`side` is neither buy nor sell: {side!r}")
    return Trade(
        symbol=text(row, "instId"),
        trade_id=text(row, "tradeId"),
        number=None,
        traded_at=instant(row, "ts"),
        price=number(row, "px"),
        quantity=number(row, "sz"),
        is_taker_buy=_TAKER_SIDES[side],
        trade_count=integer(row, "count") if "count" in row else 1,
    )
