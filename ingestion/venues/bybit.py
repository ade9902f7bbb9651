"""Bybit derivatives, linear and inverse.

Belongs here: symbols, archive, api and feed of Bybit. Does not: fetching, decoding, connecting.
"""

from __future__ import annotations

import calendar
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import INSTRUMENTS, LIQUIDATIONS, LIVE_TRADES, REST_TRADES, TRADES, Dataset
from ingestion.domain.markets import ContractType, Market, delivery_instant
from ingestion.domain.periods import Period, Span
from ingestion.venues.messages import Occurrences, answer, holds, instant, listed, mapping, number, parsed, text, whole
from ingestion.venues.venue import (
    ApiBar,
    ApiClient,
    Complaint,
    Event,
    Execution,
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
    moment,
)

# ---- symbols ---------------------------------------------------------------------------------------------------------

# USDT-quoted contracts carry their quote, USDC-quoted perpetuals the word PERP; what ends in USD is inverse, and one
# contract of it is one USD. Delivery: linear `BTC-26DEC25` (USDC), `BTCUSDT-26DEC25`; inverse `BTCUSDZ25`. There are no
# underscores, and so none of another venue's `BTCUSD_PERP`.
_LINEAR: Final = re.compile(r"^(?P<base>[^\W_]+?)USDT(?:-(?P<delivery>\d{1,2}[A-Z]{3}\d{2}))?$")
_LINEAR_USDC: Final = re.compile(r"^(?P<base>[^\W_]+?)(?:PERP|-(?P<delivery>\d{1,2}[A-Z]{3}\d{2}))$")
_INVERSE: Final = re.compile(r"^(?P<base>[^\W_]+?)USD(?P<delivery>[FGHJKMNQUVXZ]\d{2})?$")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# The futures trade's letters for the months, January first.
_MONTH_CODES: Final = "FGHJKMNQUVXZ"


@dataclass(frozen=True)
class BybitGrammar:
    shape: str = "like BTCUSDT, BTCPERP (linear) or BTCUSD (inverse)"

    def market(self, symbol: str) -> Market | None:
        linear = _LINEAR.match(symbol)
        if linear:
            delivers_at = _delivery_of_day(linear["delivery"])
            return Market.of(
                "bybit", symbol, linear["base"], "USDT", ContractType.LINEAR, Decimal(1), delivers_at=delivers_at
            )
        inverse = _INVERSE.match(symbol)
        if inverse:
            delivers_at = _delivery_of_month(inverse["delivery"])
            return Market.of(
                "bybit", symbol, inverse["base"], "USD", ContractType.INVERSE, Decimal(1), delivers_at=delivers_at
            )
        usdc = _LINEAR_USDC.match(symbol)
        if usdc:
            delivers_at = _delivery_of_day(usdc["delivery"])
            return Market.of(
                "bybit", symbol, usdc["base"], "USDC", ContractType.LINEAR, Decimal(1), delivers_at=delivers_at
            )
        return None


def _delivery_of_day(day: str | None) -> datetime | None:
    """The instant of delivery that `26DEC25` says; None for no day, or for one that the calendar does not have."""
    if not day or day[-5:-2] not in _MONTHS:
        return None
    return delivery_instant(f"{day[-2:]}{_MONTHS.index(day[-5:-2]) + 1:02d}{day[:-5]:0>2}")


def _delivery_of_month(code: str | None) -> datetime | None:
    """The instant of delivery that `Z25` says, by convention: the last Friday of that month. The symbol itself names
    no day; contracts of quarters have kept to this."""
    if not code:
        return None
    last = Period.of_month(date(2000 + int(code[1:]), _MONTH_CODES.index(code[0]) + 1, 1)).last_day
    return delivery_instant(f"{last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7):%y%m%d}")


# ---- archive ---------------------------------------------------------------------------------------------------------

# `side` is the taker's: who sold met a buyer that rested. `size` is base for linear contracts and USD, that is
# contracts, for inverse ones. `homeNotional` repeats it, and `foreignNotional` is the other side of the trade: size ×
# price (quote) where linear, size ÷ price (base) where inverse, printed as a float. Newer files have `RPI` besides.
_TRADES: Final = Layout(
    columns=(
        SourceColumn("timestamp", "traded_at", "epoch_seconds"),
        SourceColumn("symbol", None),
        SourceColumn("side", "is_buyer_maker", true_when="Sell", false_when="Buy"),
        SourceColumn("size", "quantity"),
        SourceColumn("price", "price"),
        SourceColumn("tickDirection", None),
        SourceColumn("trdMatchID", None),
        SourceColumn("grossValue", None),
        SourceColumn("homeNotional", None),
        SourceColumn("foreignNotional", "venue_notional", is_rounded=True),
    ),
    packing="gzip",
    # Older files run backwards, and some tell the time in whole seconds: time, then every column, is the only order.
    numbers_rows=True,
    identity="trdMatchID",
)


@dataclass(frozen=True)
class BybitArchive:
    """Single trades by day, one gzip file each, without a checksum; nothing else of what we store."""

    url: str = "https://public.bybit.com"
    has_checksums: bool = False

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        return dataset.name == TRADES.name

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        columns = tuple(
            replace(column, must_equal=market.symbol) if column.name == "symbol" else column
            for column in _TRADES.columns
        )
        return replace(_TRADES, columns=columns, contract_type=market.contract_type, contract_size=market.contract_size)

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The one object that holds all of `period`, where the venue makes such objects."""
        if dataset.name != TRADES.name or period.span is not Span.DAY:
            return ()
        return (SourceObject(f"trading/{market.symbol}/{market.symbol}{period.label}.csv.gz", period),)


# ---- api -------------------------------------------------------------------------------------------------------------

_TRADES_A_PAGE: Final = 1000
_INSTRUMENTS_A_PAGE: Final = 1000
_COMPLAINTS: Final[dict[int, Complaint]] = {
    10000: Complaint("busy", "the venue timed out inside"),
    10001: Complaint("wrong", "a parameter is wrong, such as a symbol the venue does not know; check TAKER_MARKETS"),
    10006: Complaint("too_many", "too many requests"),
    10009: Complaint("refused", "this address is banned"),
    10016: Complaint("busy", "the venue has a fault inside"),
    10018: Complaint("too_many", "too many requests from this address"),
    10024: Complaint("refused", "its rules keep this place out"),
}


@dataclass(frozen=True)
class BybitApi:
    """What Bybit's api has of the running day: its contracts, and the newest 1000 trades of a market, no more.

    On a busy market those are a minute; on a quiet one, hours. The archive brings the day, the feed the hour. Its bars
    do not tell takers apart.
    """

    grammar: BybitGrammar = BybitGrammar()
    url: str = "https://api.bybit.com"
    limits: tuple[Limit, ...] = (Limit("", weight=600, seconds=5),)
    # No promise: how far the newest 1000 trades happen to go. What lies before them is not claimed to be covered.
    trades_reach_back_hours: int = 24
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_TRADES.name)

    def complaint(self, answer: Any) -> Complaint | None:
        """`{"retCode": 10001, "retMsg": "params error: …"}`; 0 is the code of a good answer."""
        if not isinstance(answer, dict) or not answer.get("retCode"):
            return None
        code, said = int(answer["retCode"]), str(answer.get("retMsg", ""))
        known = _COMPLAINTS.get(code, Complaint("wrong", "the venue refused the question"))
        return replace(known, sentence=f"{known.sentence} ({code}: {said})")

    def instruments(self, client: ApiClient) -> list[Instrument]:
        found: list[Instrument] = []
        for category in ("linear", "inverse"):
            cursor = ""
            while True:
                wanted: dict[str, str | int] = {"category": category, "limit": _INSTRUMENTS_A_PAGE}
                if cursor:
                    wanted["cursor"] = cursor
                result = client.get("/v5/market/instruments-info", wanted, weight=1)["result"]
                found += [one for row in result["list"] if (one := self._instrument(row)) is not None]
                following = result.get("nextPageCursor") or ""
                if not following:
                    break
                if following == cursor:
                    raise ValueError(f"its pages do not move on from cursor {cursor}")
                cursor = following
        return found

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.grammar.market(row["symbol"])
        if market is None:
            return None
        market = market.as_named(row["baseCoin"], row["quoteCoin"])
        launched = int(row.get("launchTime") or 0)
        delivered = int(row.get("deliveryTime") or 0)
        # Linear contracts are counted in base, inverse ones in USD.
        return Instrument(
            market,
            Decimal(1),
            listed_at=moment(launched) if launched else None,
            is_trading=row["status"] == "Trading",
            delivers_at=moment(delivered) if delivered else None,
        )

    def bars(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[ApiBar]:
        return []

    def trades(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> Iterator[TradePage]:
        category = "linear" if market.contract_type is ContractType.LINEAR else "inverse"
        wanted: dict[str, str | int] = {"category": category, "symbol": market.symbol, "limit": _TRADES_A_PAGE}
        rows = client.get("/v5/market/recent-trade", wanted, weight=1)["result"]["list"]
        # Newest first, in the order of the venue; within one instant that order is kept, turned around.
        trades = [self._trade(row) for row in reversed(rows)]
        trades.sort(key=lambda trade: trade.traded_at)
        # Others of the oldest instant may not have fitted in, so what is known for certain begins after it; also when
        # fewer came than were asked for, since how far the venue's own memory goes is not documented.
        begins = max(since, trades[0].traded_at + timedelta(milliseconds=1)) if trades else until
        if begins < until:
            yield TradePage(begins, until, [trade for trade in trades if begins <= trade.traded_at < until])

    def _trade(self, row: dict[str, Any]) -> Trade:
        return Trade(
            symbol=row["symbol"],
            trade_id=str(row["execId"]),
            number=None,
            traded_at=moment(row["time"]),
            price=Decimal(row["price"]),
            quantity=Decimal(row["size"]),
            is_taker_buy={"Buy": True, "Sell": False}[row["side"]],
            # Block trades are agreed beside the book: nobody was the aggressor.
            execution=Execution.UNKNOWN if row.get("isBlockTrade") else Execution.MARKET,
        )

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        return []


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
        fields = answer(message, '"success":false')
        return str(fields.get("ret_msg") or "no reason given") if fields else None

    def is_acceptance(self, message: str | bytes) -> bool:
        fields = answer(message, '"subscribe"')
        return fields.get("op") == "subscribe" and fields.get("success") is True

    def tells(self, message: str | bytes) -> bool:
        return holds(message, "data")

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


# ---- the venue -------------------------------------------------------------------------------------------------------

BYBIT: Final = Venue(
    venue="bybit",
    title="Bybit",
    grammar=BybitGrammar(),
    archive=BybitArchive(),
    api=BybitApi(),
    feed=BybitFeed(),
)
