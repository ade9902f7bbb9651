"""Binance futures, USD-M and COIN-M, and the simulated exchange that writes Binance's layout.

Belongs here: symbols, key names, what is published in which pieces, file columns; paths and answers of the REST api;
streams, and what their fields mean.
Does not: fetching, connecting, parsing mechanics (`ingestion.decode.decoder`), or what a stored column means
(`ingestion.domain.datasets`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from ingestion.domain.datasets import (
    AGG_TRADES,
    FUNDING_RATE,
    INSTRUMENTS,
    KLINES,
    LIQUIDATION_SNAPSHOT,
    LIVE_TRADES,
    METRICS,
    REST_KLINES,
    REST_TRADES,
    TAKER_RATIO,
    TRADES,
    Dataset,
)
from ingestion.domain.markets import DOLLARS, SIMULATED_VENUE, ContractType, Market, delivery_instant
from ingestion.domain.periods import Period, Span
from ingestion.venues.messages import answer, flag, holds, instant, mapping, number, parsed, text, whole
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
    TimeFormat,
    Trade,
    TradePage,
    Venue,
    milliseconds,
    moment,
)

_EPOCH: Final = "epoch"
_TEXT: Final = "text"

# ---- symbols ---------------------------------------------------------------------------------------------------------

_LINEAR: Final = re.compile(rf"^(?P<base>\w+?)(?P<quote>{'|'.join(DOLLARS)})(?:_(?P<delivery>\d{{6}}))?$")
_INVERSE: Final = re.compile(r"^(?P<base>\w+?)(?P<quote>USD)_(?:PERP|(?P<delivery>\d{6}))$")


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
            delivers_at = delivery_instant(inverse["delivery"])
            return Market.of(self.venue, symbol, base, "USD", ContractType.INVERSE, size, delivers_at)
        linear = _LINEAR.match(symbol) if ContractType.LINEAR in self.kinds else None
        if linear:
            base, quote_asset, delivers_at = linear["base"], linear["quote"], delivery_instant(linear["delivery"])
            return Market.of(self.venue, symbol, base, quote_asset, ContractType.LINEAR, Decimal(1), delivers_at)
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
        if dataset.name == TRADES.name:
            columns = _trades(market.contract_type)
            return Layout(columns, contract_type=market.contract_type, contract_size=market.contract_size)
        return Layout(
            tuple(
                replace(column, must_equal=market.symbol) if column.stored_as == "symbol_name" else column
                for column in _COLUMNS[dataset.name]
            )
        )

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The one object that holds all of `period`, where the venue makes such objects."""
        if period.span is Span.MONTH and dataset.name not in _PUBLISHED_BY_MONTH_ONLY | _PUBLISHED_BOTH_WAYS:
            return ()
        if period.span is Span.DAY and dataset.name in _PUBLISHED_BY_MONTH_ONLY:
            return ()
        return (SourceObject(_key(dataset, market, interval, period), period),)


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

# ---- api -------------------------------------------------------------------------------------------------------------

_HOUR: Final = timedelta(hours=1)
_USED_WEIGHT: Final = "X-MBX-USED-WEIGHT-1M"
# The `deliveryDate` of a perpetual contract: 2100-12-25 08:00 UTC.
_NEVER_DELIVERED: Final = 4_133_404_800_000
_TRADES_A_PAGE: Final = 1000
_BARS_A_PAGE: Final = 99  # one more would cost twice the weight
_RATIOS_A_PAGE: Final = 500
# Of Binance's error codes those that a person can do something about, in words.
_COMPLAINTS: Final[dict[int, Complaint]] = {
    -1000: Complaint("busy", "the venue does not know what went wrong"),
    -1001: Complaint("busy", "the venue is disconnected inside"),
    -1003: Complaint("too_many", "too many requests"),
    -1007: Complaint("busy", "the venue timed out inside"),
    -1008: Complaint("busy", "the venue is overloaded"),
    -1015: Complaint("too_many", "too many requests"),
    -1100: Complaint("wrong", "a parameter holds illegal characters"),
    -1121: Complaint("unknown", "the venue knows no such symbol; check TAKER_MARKETS"),
    -1127: Complaint("wrong", "more time was asked for than one question may span"),
    -1130: Complaint("wrong", "a parameter is out of range, such as a time further back than the venue keeps"),
}


@dataclass(frozen=True)
class BinanceApi:
    """The futures api: `root` is `/fapi/v1` for USD-M, `/dapi/v1` for COIN-M, whose amounts are contracts and base."""

    grammar: BinanceGrammar
    url: str
    root: str
    # As published; exchangeInfo says the first one anew whenever it is asked.
    limits: tuple[Limit, ...] = (
        Limit("", weight=2400, seconds=60, used_header=_USED_WEIGHT),
        Limit("/futures/data/", weight=1000, seconds=300),
    )
    # "Only the past 48 hours can be queried."
    trades_reach_back_hours: int = 48
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_KLINES.name, TAKER_RATIO.name, REST_TRADES.name)

    def complaint(self, answer: Any) -> Complaint | None:
        """`{"code": -1121, "msg": "Invalid symbol."}`; 0 is the code of a refusal, 200 that of a success."""
        if not isinstance(answer, dict) or "code" not in answer or "msg" not in answer or answer["code"] == 200:
            return None
        code, said = int(answer["code"]), str(answer["msg"])
        known = _COMPLAINTS.get(code, Complaint("wrong", "the venue refused the question"))
        return replace(known, sentence=f"{known.sentence} ({code}: {said})")

    def instruments(self, client: ApiClient) -> list[Instrument]:
        answer = client.get(f"{self.root}/exchangeInfo", {}, weight=1)
        for said in answer.get("rateLimits", ()):
            seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}.get(said["interval"])
            if said["rateLimitType"] == "REQUEST_WEIGHT" and seconds:
                client.allow(Limit("", int(said["limit"]), float(seconds * int(said["intervalNum"])), _USED_WEIGHT))
        return [found for row in answer["symbols"] if (found := self._instrument(row)) is not None]

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.grammar.market(row["symbol"])
        if market is None:
            return None  # not quoted in dollars
        market = market.as_named(row["baseAsset"], row["quoteAsset"])
        # Linear contracts are counted in base and have no size of their own.
        size = Decimal(str(row["contractSize"])) if market.contract_type is ContractType.INVERSE else Decimal(1)
        listed_at = moment(row["onboardDate"]) if row.get("onboardDate") else None
        status = row.get("status") or row.get("contractStatus")
        delivers = int(row.get("deliveryDate") or 0)
        return Instrument(
            market,
            size,
            listed_at,
            is_trading=status == "TRADING",
            delivers_at=moment(delivers) if 0 < delivers < _NEVER_DELIVERED else None,
        )

    def bars(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[ApiBar]:
        bars: list[ApiBar] = []
        start = since
        while start < until:
            end = min(until, start + _BARS_A_PAGE * _HOUR)
            wanted: dict[str, str | int] = {
                "symbol": market.symbol,
                "interval": "1h",
                "startTime": milliseconds(start),
                "endTime": milliseconds(end) - 1,
                "limit": _BARS_A_PAGE,
            }
            rows = client.get(f"{self.root}/klines", wanted, weight=1)
            bars += [bar for bar in map(_bar, rows) if start <= bar.opened_at < end]
            start = end
        finished = min(until, client.answered_at)
        return [bar for bar in bars if bar.opened_at + _HOUR <= finished]

    def trades(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> Iterator[TradePage]:
        path = f"{self.root}/aggTrades"
        start = since
        while start < until:
            # Both times together may span less than an hour; within it, pages follow by id, never by id and time.
            end = min(until, start + _HOUR)
            asked: dict[str, str | int] = {"startTime": milliseconds(start), "endTime": milliseconds(end) - 1}
            page_since = start
            while True:
                wanted = {"symbol": market.symbol, **asked, "limit": _TRADES_A_PAGE}
                rows = client.get(path, wanted, weight=20)
                found = [trade for row in rows if (trade := _agg_trade(market, row)).traded_at < end]
                is_last = len(rows) < _TRADES_A_PAGE or len(found) < len(rows)
                page_until = end if is_last else found[-1].traded_at
                yield TradePage(page_since, page_until, found)
                if is_last:
                    break
                following = int(rows[-1]["a"]) + 1
                if following == asked.get("fromId"):
                    raise ValueError(f"its pages do not move on from trade {following}")
                asked, page_since = {"fromId": following}, page_until
            start = end

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        inverse = market.contract_type is ContractType.INVERSE
        if inverse and not market.symbol.endswith("_PERP"):
            return []  # asked for by pair and kind of contract; a delivery date is neither
        pair = market.symbol.removesuffix("_PERP")
        named: dict[str, str | int] = (
            {"pair": pair, "contractType": "PERPETUAL"} if inverse else {"symbol": market.symbol}
        )
        path = f"/futures/data/{'takerBuySellVol' if inverse else 'takerlongshortRatio'}"
        wanted = {
            **named,
            "period": "1h",
            "startTime": milliseconds(since),
            # One hour more: should the label be the end of the hour, the last one is there too.
            "endTime": milliseconds(until),
            "limit": _RATIOS_A_PAGE,
        }
        rows = client.get(path, wanted, weight=1)
        labelled = [(moment(row["timestamp"]), *_volumes(row, inverse)) for row in rows]
        shift = _label_shift(labelled, self.bars(client, market, since, until) if labelled else [], inverse)
        finished = min(until, client.answered_at)
        return [
            TakerRatio(at - shift, bought, sold, ratio)
            for at, bought, sold, ratio in labelled
            if since <= at - shift and at - shift + _HOUR <= finished
        ]


def _bar(row: Sequence[Any]) -> ApiBar:
    return ApiBar(
        opened_at=moment(row[0]),
        open_price=Decimal(row[1]),
        high_price=Decimal(row[2]),
        low_price=Decimal(row[3]),
        close_price=Decimal(row[4]),
        volume=Decimal(row[5]),
        closed_at=moment(row[6]),
        quote_volume=Decimal(row[7]),
        trade_count=int(row[8]),
        taker_buy_volume=Decimal(row[9]),
        taker_buy_quote_volume=Decimal(row[10]),
    )


def _agg_trade(market: Market, row: dict[str, Any]) -> Trade:
    return Trade(
        symbol=market.symbol,
        trade_id=str(row["a"]),
        number=int(row["a"]),
        traded_at=moment(row["T"]),
        price=Decimal(row["p"]),
        quantity=Decimal(row["q"]),
        is_taker_buy=not row["m"],
        trade_count=int(row["l"]) - int(row["f"]) + 1,
        normal_quantity=Decimal(row["nq"]) if row.get("nq") else None,
    )


def _volumes(row: dict[str, Any], inverse: bool) -> tuple[Decimal, Decimal, Decimal]:
    """Bought, sold (base) and their ratio; COIN-M prints no ratio, so it is worked out."""
    if not inverse:
        return Decimal(row["buyVol"]), Decimal(row["sellVol"]), Decimal(row["buySellRatio"])
    bought, sold = Decimal(row["takerBuyVolValue"]), Decimal(row["takerSellVolValue"])
    return bought, sold, round(bought / sold, 4) if sold else Decimal(0)


def _label_shift(
    labelled: Sequence[tuple[datetime, Decimal, Decimal, Decimal]], bars: Sequence[ApiBar], inverse: bool
) -> timedelta:
    """How far a label lies behind the first instant of its hour.

    Binance has labelled the same numbers by the start and by the end of their time, and changed it without a word. The
    bars of the same hours tell: the label that brings more hours to agree is right; by default it is the start.
    """
    bought = {bar.opened_at: bar.taker_buy_quote_volume if inverse else bar.taker_buy_volume for bar in bars}

    def agreeing(shift: timedelta) -> int:
        pairs = [(volume, bought.get(at - shift)) for at, volume, _, _ in labelled]
        return sum(other is not None and abs(volume - other) * 1000 <= other for volume, other in pairs)

    return _HOUR if agreeing(_HOUR) > agreeing(timedelta()) else timedelta()


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
        fault = answer(message, '"error"').get("error")
        return str(fault) if fault else None

    def is_acceptance(self, message: str | bytes) -> bool:
        return False  # what is wanted is in the address

    def tells(self, message: str | bytes) -> bool:
        return holds(message, "data")

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
    # `p` is the order's limit near the bankruptcy price, `q` what was ordered; `ap` and `z` are what was traded so far.
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
        original_quantity=number(order, "q"),
        limit_price=number(order, "p"),
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

_UM: Final = BinanceGrammar("binance_um", frozenset({ContractType.LINEAR}), _ENDING)
_CM: Final = BinanceGrammar("binance_cm", frozenset({ContractType.INVERSE}), "like BTCUSD_PERP or BTCUSD_261225")

BINANCE_UM: Final = Venue(
    venue="binance_um",
    title="Binance USD-M",
    grammar=_UM,
    archive=_ARCHIVE,
    api=BinanceApi(_UM, "https://fapi.binance.com", "/fapi/v1"),
    feed=BinanceFeed("wss://fstream.binance.com/market", ContractType.LINEAR),
    trade_datasets=_TRADES,
)
BINANCE_CM: Final = Venue(
    venue="binance_cm",
    title="Binance COIN-M",
    grammar=_CM,
    archive=_ARCHIVE,
    api=BinanceApi(_CM, "https://dapi.binance.com", "/dapi/v1"),
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
