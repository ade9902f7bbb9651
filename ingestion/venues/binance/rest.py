"""Binance's futures REST API: contracts, hourly bars, aggregated trades, taker buy/sell ratios.

Belongs here: paths, parameters, limits, error codes, and how the answers read.
Does not: sending, waiting and retrying (`ingestion.http.rest`), or which days are requested (`ingestion.recent`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import INSTRUMENTS, REST_KLINES, REST_TRADES, TAKER_RATIO
from ingestion.domain.markets import ContractType, Market
from ingestion.http.values import ApiClient, ApiError, Limit
from ingestion.venues.binance.symbols import BinanceSymbols
from ingestion.venues.messages import milliseconds, moment
from ingestion.venues.venue import ApiBar, Instrument, TakerRatio, Trade, TradePage

_HOUR: Final = timedelta(hours=1)
_USED_WEIGHT: Final = "X-MBX-USED-WEIGHT-1M"
# The `deliveryDate` of a perpetual contract: 2100-12-25 08:00 UTC.
_NEVER_DELIVERED: Final = 4_133_404_800_000
_TRADES_A_PAGE: Final = 1000
_BARS_A_PAGE: Final = 99  # one more would cost twice the weight
_RATIOS_A_PAGE: Final = 500
# The error codes of Binance that can be acted on, in words.
_ERRORS: Final[dict[int, ApiError]] = {
    -1000: ApiError("temporary", "the venue reports an unknown internal error"),
    -1001: ApiError("temporary", "the venue reports an internal disconnect"),
    -1003: ApiError("rate_limited", "too many requests"),
    -1007: ApiError("temporary", "the venue reports an internal time-out"),
    -1008: ApiError("temporary", "the venue is overloaded"),
    -1015: ApiError("rate_limited", "too many requests"),
    -1100: ApiError("invalid_request", "a parameter holds illegal characters"),
    -1121: ApiError("unknown_symbol", "the venue knows no such symbol"),
    -1127: ApiError("invalid_request", "the requested range is longer than one request may span"),
    -1130: ApiError("invalid_request", "a parameter is out of range, such as a time before the venue's history"),
}


@dataclass(frozen=True)
class BinanceApi:
    """The futures API: `root` is `/fapi/v1` for USD-M, `/dapi/v1` for COIN-M, whose amounts are contracts and base."""

    symbols: BinanceSymbols
    url: str
    root: str
    # As published; exchangeInfo reports the current value of the first one.
    limits: tuple[Limit, ...] = (
        Limit("", weight=2400, seconds=60, used_header=_USED_WEIGHT),
        Limit("/futures/data/", weight=1000, seconds=300),
    )
    # "Only the past 48 hours can be queried."
    trades_reach_back_hours: int = 48
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_KLINES.name, TAKER_RATIO.name, REST_TRADES.name)

    def error_in(self, answer: Any) -> ApiError | None:
        """`{"code": -1121, "msg": "Invalid symbol."}`; code 0 is a refusal, 200 a success."""
        if not isinstance(answer, dict) or "code" not in answer or "msg" not in answer or answer["code"] == 200:
            return None
        code, message = int(answer["code"]), str(answer["msg"])
        known = _ERRORS.get(code, ApiError("invalid_request", "the venue rejected the request"))
        return replace(known, sentence=f"{known.sentence} ({code}: {message})")

    def ban_end_in(self, answer: Any) -> datetime | None:
        """`… banned until 1790000000000 …`, in milliseconds."""
        message = str(answer.get("msg", "")) if isinstance(answer, dict) else ""
        digits = message.partition("until ")[2].strip().split(" ")[0].rstrip(".")
        return datetime.fromtimestamp(int(digits) / 1000, UTC) if digits.isdigit() and len(digits) == 13 else None

    def instruments(self, client: ApiClient) -> list[Instrument]:
        answer = client.get(f"{self.root}/exchangeInfo", {}, weight=1)
        for limit in answer.get("rateLimits", ()):
            seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}.get(limit["interval"])
            if limit["rateLimitType"] == "REQUEST_WEIGHT" and seconds:
                client.allow(Limit("", int(limit["limit"]), float(seconds * int(limit["intervalNum"])), _USED_WEIGHT))
        return [found for row in answer["symbols"] if (found := self._instrument(row)) is not None]

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.symbols.parse(row["symbol"])
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
            # The two times may span less than an hour; within it, pages continue by id, never by id and time.
            end = min(until, start + _HOUR)
            position: dict[str, str | int] = {"startTime": milliseconds(start), "endTime": milliseconds(end) - 1}
            page_since = start
            while True:
                wanted = {"symbol": market.symbol, **position, "limit": _TRADES_A_PAGE}
                rows = client.get(path, wanted, weight=20)
                found = [trade for row in rows if (trade := _agg_trade(market, row)).traded_at < end]
                is_last = len(rows) < _TRADES_A_PAGE or len(found) < len(rows)
                page_until = end if is_last else found[-1].traded_at
                yield TradePage(page_since, page_until, found)
                if is_last:
                    break
                following = int(rows[-1]["a"]) + 1
                if following == position.get("fromId"):
                    raise ValueError(f"its pages do not advance beyond trade {following}")
                position, page_since = {"fromId": following}, page_until
            start = end

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        inverse = market.contract_type is ContractType.INVERSE
        if inverse and not market.symbol.endswith("_PERP"):
            return []  # requested by pair and kind of contract, which do not identify a dated contract
        pair = market.symbol.removesuffix("_PERP")
        named: dict[str, str | int] = (
            {"pair": pair, "contractType": "PERPETUAL"} if inverse else {"symbol": market.symbol}
        )
        path = f"/futures/data/{'takerBuySellVol' if inverse else 'takerlongshortRatio'}"
        wanted = {
            **named,
            "period": "1h",
            "startTime": milliseconds(since),
            # One hour more: if the label is the end of the hour, the last one is included too.
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
    """Bought, sold (base) and their ratio; COIN-M prints no ratio, so it is computed."""
    if not inverse:
        return Decimal(row["buyVol"]), Decimal(row["sellVol"]), Decimal(row["buySellRatio"])
    bought, sold = Decimal(row["takerBuyVolValue"]), Decimal(row["takerSellVolValue"])
    return bought, sold, round(bought / sold, 4) if sold else Decimal(0)


def _label_shift(
    labelled: Sequence[tuple[datetime, Decimal, Decimal, Decimal]], bars: Sequence[ApiBar], inverse: bool
) -> timedelta:
    """How far a label lies behind the first instant of its hour.

    Binance has labelled the same numbers by the start and by the end of their hour, and has changed it unannounced. The
    bars of the same hours decide: the shift with which more hours agree is right; by default the label is the start.
    """
    bought = {bar.opened_at: bar.taker_buy_quote_volume if inverse else bar.taker_buy_volume for bar in bars}

    def agreeing(shift: timedelta) -> int:
        pairs = [(volume, bought.get(at - shift)) for at, volume, _, _ in labelled]
        return sum(other is not None and abs(volume - other) * 1000 <= other for volume, other in pairs)

    return _HOUR if agreeing(_HOUR) > agreeing(timedelta()) else timedelta()
