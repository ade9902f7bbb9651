"""OKX swaps and futures.

Belongs here: symbols, archive, api and feed of OKX. Does not: fetching, decoding, connecting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import INSTRUMENTS, LIVE_TRADES, REST_TRADES, TRADES, Dataset
from ingestion.domain.markets import ContractType, Market, delivery_instant
from ingestion.domain.periods import Period, Span
from ingestion.venues.messages import Occurrences, answer, holds, instant, listed, mapping, number, parsed, text, whole
from ingestion.venues.venue import (
    ApiBar,
    ApiClient,
    Complaint,
    Event,
    Instrument,
    Layout,
    Limit,
    Liquidation,
    Malformed,
    SourceColumn,
    SourceObject,
    Subscription,
    TakerRatio,
    Trade,
    TradePage,
    Venue,
    milliseconds,
    moment,
)

# USD_UM is linear: priced in USD, margined and settled in USD or any of several stable coins. Its XPERP are perpetual
# in all but name: futures that are delivered in years.
_CONTRACT: Final = re.compile(
    r"^(?P<base>[^-]+)-(?P<quote>USDT|USDC|USD)(?P<margin>_UM(?:_XPERP)?)?-(?:SWAP|(?P<delivery>\d{6}))$"
)

# Linear contracts are a number of coins each, which only the venue knows, and which differs between contracts of one
# coin; these are its oldest ones.
_LINEAR_SIZES: Final = {"BTC-USDT-SWAP": Decimal("0.01"), "ETH-USDT-SWAP": Decimal("0.1")}


@dataclass(frozen=True)
class OkxGrammar:
    shape: str = "like BTC-USDT-SWAP, BTC-USDT-261225, BTC-USD_UM-SWAP (linear) or BTC-USD-SWAP (inverse)"

    def market(self, symbol: str) -> Market | None:
        found = _CONTRACT.match(symbol)
        if not found or (found["margin"] and found["quote"] != "USD"):
            return None
        base, quote, delivers_at = found["base"], found["quote"], delivery_instant(found["delivery"])
        if quote == "USD" and not found["margin"]:
            size = Decimal(100) if base == "BTC" else Decimal(10)
            return Market.of("okx", symbol, base, quote, ContractType.INVERSE, size, delivers_at)
        return Market.of("okx", symbol, base, quote, ContractType.LINEAR, _LINEAR_SIZES.get(symbol), delivers_at)


# ---- archive ---------------------------------------------------------------------------------------------------------

# A file's day begins at midnight of UTC+8, which is 16:00 UTC of the day before.
_AHEAD: Final = timedelta(hours=8)
_DAY: Final = timedelta(days=1)
# Files of today, with and without `source` (0: an ordinary order, 1: a retail-price-improvement order; both are flow),
# and older ones, which do not name the instrument and give size before price.
_ORDERS: Final = (
    ("instrument_name", "trade_id", "side", "price", "size", "created_time", "source"),
    ("instrument_name", "trade_id", "side", "price", "size", "created_time"),
    ("trade_id", "side", "size", "price", "created_time"),
)


@dataclass(frozen=True)
class OkxArchive:
    """Single trades, one zip a day of UTC+8, without a checksum; nothing else of what we store.

    `side` is the taker's, `size` is in contracts. A UTC day is made of parts of two files. Dated contracts of one
    family share a file (`BTC-USDT-futureschain-trades-…`), unless one of their own is there.
    """

    url: str = "https://static.okx.com/cdn/okex"
    has_checksums: bool = False

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        is_delivered = market.delivers_at is not None and market.delivers_at <= Period.of_day(day).starts_at
        return dataset.name == TRADES.name and not is_delivered

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        return Layout(
            columns=(
                SourceColumn("instrument_name", None, must_equal=market.symbol),
                SourceColumn("trade_id", "trade_id"),
                SourceColumn("side", "is_buyer_maker", true_when="sell", false_when="buy"),
                SourceColumn("price", "price"),
                SourceColumn("size", "quantity"),
                SourceColumn("created_time", "traded_at", "epoch"),
                SourceColumn("source", None),
            ),
            is_bilingual=True,
            headerless=_ORDERS,
        )

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The files of the same day and of the next one, in UTC+8: their parts are the UTC day.

        None after a dated contract's delivery: the file of the next day is not made any more.
        """
        if dataset.name != TRADES.name or period.span is not Span.DAY:
            return ()
        files = [self._file(market, period, period.first_day + n * _DAY) for n in range(2)]
        return tuple(file for file, begins in files if market.delivers_at is None or begins < market.delivers_at)

    def _file(self, market: Market, period: Period, day: date) -> tuple[SourceObject, datetime]:
        """The file of one day of UTC+8, and when it begins."""
        begins = datetime.combine(day, time.min, UTC) - _AHEAD
        holds = (begins, begins + _DAY)
        folder = f"traderecords/trades/daily/{day:%Y%m%d}"
        family = None
        if market.delivers_at is not None:
            key = f"{folder}/{market.symbol.rpartition('-')[0]}-futureschain-trades-{day}.zip"
            family = SourceObject(key, period, holds, is_shared=True)
        return SourceObject(f"{folder}/{market.symbol}-trades-{day}.zip", period, holds, otherwise=family), begins


# ---- api -------------------------------------------------------------------------------------------------------------

_TRADES_A_PAGE: Final = 100
_COMPLAINTS: Final[dict[int, Complaint]] = {
    50001: Complaint("busy", "the venue is being maintained"),
    50004: Complaint("busy", "the venue timed out inside"),
    50011: Complaint("too_many", "too many requests"),
    50013: Complaint("busy", "the venue is overloaded"),
    50026: Complaint("busy", "the venue has a fault inside"),
    50061: Complaint("too_many", "too many requests"),
    51001: Complaint("unknown", "the venue knows no such instrument; check TAKER_MARKETS"),
}


@dataclass(frozen=True)
class OkxApi:
    """Contracts, and every trade of the last three months, a hundred at a time. Its bars do not tell takers apart."""

    grammar: OkxGrammar = OkxGrammar()
    url: str = "https://www.okx.com"
    limits: tuple[Limit, ...] = (
        Limit("/api/v5/market/history-trades", weight=20, seconds=2),
        Limit("/api/v5/public/instruments", weight=20, seconds=2),
    )
    # It would go further back, but a busy day is ten thousand questions, ten a second.
    trades_reach_back_hours: int = 24
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_TRADES.name)

    def complaint(self, answer: Any) -> Complaint | None:
        """`{"code": "51001", "msg": "…", "data": []}`; "0" is the code of a good answer."""
        if not isinstance(answer, dict) or str(answer.get("code", "0")) in ("0", ""):
            return None
        code, said = str(answer["code"]), str(answer.get("msg", ""))
        known = _COMPLAINTS.get(
            int(code) if code.isdigit() else -1, Complaint("wrong", "the venue refused the question")
        )
        return replace(known, sentence=f"{known.sentence} ({code}: {said})")

    def instruments(self, client: ApiClient) -> list[Instrument]:
        found = []
        for kind in ("SWAP", "FUTURES"):
            rows = client.get("/api/v5/public/instruments", {"instType": kind}, weight=1)["data"]
            found += [one for row in rows if (one := self._instrument(row)) is not None]
        return found

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.grammar.market(row["instId"])
        if market is None or not row["ctVal"] or row["ctType"] != market.contract_type.value:
            return None
        size = Decimal(row["ctVal"]) * Decimal(row.get("ctMult") or 1)
        listed_at = moment(row["listTime"]) if row.get("listTime") else None
        delivers = int(row.get("expTime") or 0)
        delivers_at = moment(delivers) if delivers else None
        return Instrument(market, size, listed_at, is_trading=row["state"] == "live", delivers_at=delivers_at)

    def bars(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[ApiBar]:
        return []

    def trades(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> Iterator[TradePage]:
        # Pages go back in time: the first one from an instant, the next ones from an id, so none is lost between them.
        asked: dict[str, str | int] = {"type": 2, "after": milliseconds(until)}
        newest_first: list[Trade] = []
        begins = since
        while True:
            wanted: dict[str, str | int] = {"instId": market.symbol, **asked, "limit": _TRADES_A_PAGE}
            rows = client.get("/api/v5/market/history-trades", wanted, weight=1)["data"]
            if not rows:
                # The venue's memory ends here, or the market began: the first trade that it knows is where we begin.
                begins = newest_first[-1].traded_at if newest_first else until
                break
            page = [self._trade(row) for row in rows]
            newest_first += [trade for trade in page if since <= trade.traded_at < until]
            if page[-1].traded_at < since:
                break
            if rows[-1]["tradeId"] == asked["after"]:
                raise ValueError(f"its pages do not move on from trade {rows[-1]['tradeId']}")
            asked = {"type": 1, "after": rows[-1]["tradeId"]}
        if begins < until:
            yield TradePage(begins, until, newest_first[::-1])

    def _trade(self, row: dict[str, Any]) -> Trade:
        return Trade(
            symbol=row["instId"],
            trade_id=str(row["tradeId"]),
            number=None,  # that ids have no holes is not documented
            traded_at=moment(row["ts"]),
            price=Decimal(row["px"]),
            quantity=Decimal(row["sz"]),
            is_taker_buy={"buy": True, "sell": False}[row["side"]],
        )

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        return []


# ---- feed ------------------------------------------------------------------------------------------------------------

_TAKER_SIDES: Final = {"buy": True, "sell": False}
# In net mode a position has no side of its own; the order that closed it has: selling closes a long.
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
        fields = answer(message, '"error"')
        return str(fields.get("msg") or "no reason given") if fields.get("event") == "error" else None

    def is_acceptance(self, message: str | bytes) -> bool:
        return answer(message, '"subscribe"').get("event") == "subscribe"

    def tells(self, message: str | bytes) -> bool:
        return holds(message, "data")

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
        hello=tuple(json.dumps({"op": "subscribe", "args": part}, ensure_ascii=False) for part in parts),
        # It ends a connection that said nothing for 30 seconds.
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
        event_id=occurrences.event_id(symbol, whole(detail, "ts"), side, position, price, quantity),
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
        trade_count=whole(row, "count") if "count" in row else 1,
    )


# ---- the venue -------------------------------------------------------------------------------------------------------

OKX: Final = Venue(
    venue="okx",
    title="OKX",
    grammar=OkxGrammar(),
    archive=OkxArchive(),
    api=OkxApi(),
    feed=OkxFeed(),
)
