"""Bybit's WebSocket topics: liquidations and public trades, subscribed per symbol.

Belongs here: topic names, and what the fields of their messages mean. Does not: connecting (`ingestion.live`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingestion.domain.datasets import LIQUIDATIONS, LIVE_TRADES
from ingestion.domain.markets import ContractType, Market
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
from ingestion.venues.venue import Event, Execution, Liquidation, Malformed, Subscription, Trade

_LIQUIDATIONS_TOPIC: Final = "allLiquidation"
_TRADES_TOPIC: Final = "publicTrade"
_TAKER_SIDES: Final = {"Buy": True, "Sell": False}
# The venue bounds the length of a request (21,000 characters of topics); this is far below.
_TOPICS_PER_REQUEST: Final = 200


@dataclass(frozen=True)
class BybitFeed:
    """`allLiquidation.{symbol}`: every liquidation, subscribed per symbol; linear and inverse are two addresses.

    `S` is the side of the POSITION: Buy is a long that was liquidated, the opposite of an order's side. `p` is the
    bankruptcy price, the only one that the venue gives.
    """

    url: str = "wss://stream.bybit.com/v5/public"
    is_every_order: bool = True
    is_venue_wide: bool = False
    longest_connection_seconds: float = 24 * 3600.0

    def subscriptions(self, markets: Sequence[Market], *, trades: bool, url: str) -> list[Subscription]:
        wanted = []
        topics = [(_LIQUIDATIONS_TOPIC, LIQUIDATIONS.name, ""), (_TRADES_TOPIC, LIVE_TRADES.name, " trades")]
        for topic, dataset, suffix in topics[: 2 if trades else 1]:
            for kind in ContractType:
                symbols = tuple(market.symbol for market in markets if market.contract_type is kind)
                if symbols:
                    wanted.append(
                        Subscription(
                            name=f"bybit {kind}{suffix}",
                            url=f"{url}/{kind}",
                            dataset=dataset,
                            symbols=symbols,
                            subscribe_messages=tuple(_requests(topic, symbols)),
                            heartbeat='{"op":"ping"}',
                            heartbeat_seconds=20.0,
                        )
                    )
        return wanted

    def refusal(self, message: str | bytes) -> str | None:
        fields = fields_if(message, '"success":false')
        return str(fields.get("ret_msg") or "no reason given") if fields else None

    def is_acceptance(self, message: str | bytes) -> bool:
        fields = fields_if(message, '"subscribe"')
        return fields.get("op") == "subscribe" and fields.get("success") is True

    def is_market_data(self, message: str | bytes) -> bool:
        return has_key(message, "data")

    def read(self, message: str | bytes) -> Iterator[Event]:
        outer = mapping(parsed(message), "the message")
        if "topic" not in outer and "op" in outer:
            return  # an acknowledgement or a pong
        topic = text(outer, "topic").partition(".")[0]
        rows = [mapping(row, "a row of `data`") for row in listed(outer.get("data"), "`data`")]
        if topic == _LIQUIDATIONS_TOPIC:
            occurrences = Occurrences()
            for row in rows:
                yield _liquidation(row, occurrences)
        elif topic == _TRADES_TOPIC:
            for row in rows:
                yield _trade(row)
        else:
            raise Malformed(f"`topic` is neither {_LIQUIDATIONS_TOPIC} nor {_TRADES_TOPIC}: {topic!r}")


def _requests(topic: str, symbols: Sequence[str]) -> Iterator[str]:
    for first in range(0, len(symbols), _TOPICS_PER_REQUEST):
        part = symbols[first : first + _TOPICS_PER_REQUEST]
        yield json.dumps({"op": "subscribe", "args": [f"{topic}.{symbol}" for symbol in part]}, ensure_ascii=False)


def _side(row: dict[str, Any]) -> bool:
    side = text(row, "S")
    if side not in _TAKER_SIDES:
        raise Malformed(f"`S` is neither Buy nor Sell: {side!r}")
    return _TAKER_SIDES[side]


def _liquidation(row: dict[str, Any], occurrences: Occurrences) -> Liquidation:
    symbol, price, quantity = text(row, "s"), number(row, "p"), number(row, "v")
    is_long = _side(row)
    return Liquidation(
        symbol=symbol,
        liquidated_at=instant(row, "T"),
        is_long_liquidated=is_long,
        price=price,
        quantity=quantity,
        venue_side=row["S"],
        order_status="",
        event_id=occurrences.event_id(symbol, integer(row, "T"), row["S"], price, quantity),
    )


def _trade(row: dict[str, Any]) -> Trade:
    """A single trade. A block trade is agreed outside of the order book: it has no taker."""
    is_block = row.get("BT", False)
    if not isinstance(is_block, bool):
        raise Malformed(f"`BT` is neither true nor false: {is_block!r}")
    return Trade(
        symbol=text(row, "s"),
        trade_id=text(row, "i"),
        number=None,
        traded_at=instant(row, "T"),
        price=number(row, "p"),
        quantity=number(row, "v"),
        is_taker_buy=_side(row),
        execution=Execution.UNKNOWN if is_block else Execution.MARKET,
    )
