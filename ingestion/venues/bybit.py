"""Bybit derivatives, linear and inverse.

Belongs here: symbols, archive, api and feed of Bybit. Does not: fetching, decoding, connecting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ingestion.datasets import LIQUIDATIONS, LIVE_TRADES
from ingestion.markets import ContractType, Market
from ingestion.venues.messages import Occurrences, instant, listed, mapping, number, parsed, text, whole
from ingestion.venues.venue import Event, Execution, Liquidation, Malformed, Subscription, Trade, Venue

# USDT-quoted contracts carry their quote, USDC-quoted perpetuals the word PERP; what ends in USD is inverse, and one
# contract of it is one USD. Delivery: linear `BTC-26DEC25` (USDC), `BTCUSDT-26DEC25`; inverse `BTCUSDZ25`.
_LINEAR: Final = re.compile(r"^(?P<base>\w+?)USDT(?:-\d{1,2}[A-Z]{3}\d{2})?$")
_LINEAR_USDC: Final = re.compile(r"^(?P<base>\w+?)(?:PERP|-\d{1,2}[A-Z]{3}\d{2})$")
_INVERSE: Final = re.compile(r"^(?P<base>\w+?)USD(?:[FGHJKMNQUVXZ]\d{2})?$")


@dataclass(frozen=True)
class BybitGrammar:
    shape: str = "like BTCUSDT, BTCPERP (linear) or BTCUSD (inverse)"

    def market(self, symbol: str) -> Market | None:
        linear = _LINEAR.match(symbol)
        if linear:
            return Market("bybit", symbol, linear["base"], "USDT", ContractType.LINEAR, Decimal(1))
        inverse = _INVERSE.match(symbol)
        if inverse:
            return Market("bybit", symbol, inverse["base"], "USD", ContractType.INVERSE, Decimal(1))
        usdc = _LINEAR_USDC.match(symbol)
        if usdc:
            return Market("bybit", symbol, usdc["base"], "USDC", ContractType.LINEAR, Decimal(1))
        return None


# ---- feed ------------------------------------------------------------------------------------------------------------

_LIQUIDATIONS_TOPIC: Final = "allLiquidation"
_TRADES_TOPIC: Final = "publicTrade"
_TAKER_SIDES: Final = {"Buy": True, "Sell": False}
# The venue bounds the length of a request (21,000 characters of topics); this is far below.
_TOPICS_PER_REQUEST: Final = 200


@dataclass(frozen=True)
class BybitFeed:
    """`allLiquidation.{symbol}`: every liquidation there is, told per symbol; linear and inverse are two addresses.

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
                            hello=tuple(_requests(topic, symbols)),
                            heartbeat='{"op":"ping"}',
                            heartbeat_seconds=20.0,
                        )
                    )
        return wanted

    def refusal(self, message: str | bytes) -> str | None:
        if (b'"success":false' if isinstance(message, bytes) else '"success":false') not in message:  # type: ignore[operator]
            return None
        try:
            fault = mapping(parsed(message), "the message")
        except Malformed:
            return None
        return str(fault.get("ret_msg") or "no reason given")

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
        event_id=occurrences.event_id(symbol, whole(row, "T"), row["S"], price, quantity),
    )


def _trade(row: dict[str, Any]) -> Trade:
    """A single trade. A block trade is agreed outside of the book: nobody took anything there."""
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


# ---- the venues ------------------------------------------------------------------------------------------------------

BYBIT: Final = Venue(venue="bybit", title="Bybit", grammar=BybitGrammar(), feed=BybitFeed())
