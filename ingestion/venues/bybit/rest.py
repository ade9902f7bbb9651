"""Bybit's REST API: contracts, and the newest trades of a market.

Belongs here: paths, parameters, limits, error codes, and how the answers read.
Does not: sending, waiting and retrying (`ingestion.http.rest`), or which days are requested (`ingestion.recent`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import INSTRUMENTS, REST_TRADES
from ingestion.domain.markets import ContractType, Market
from ingestion.http.values import ApiClient, ApiError, Limit
from ingestion.venues.bybit.symbols import BybitSymbols
from ingestion.venues.messages import moment
from ingestion.venues.venue import ApiBar, Execution, Instrument, TakerRatio, Trade, TradePage

_TRADES_A_PAGE: Final = 1000
_INSTRUMENTS_A_PAGE: Final = 1000
_ERRORS: Final[dict[int, ApiError]] = {
    10000: ApiError("temporary", "the venue reports an internal time-out"),
    10001: ApiError(
        "invalid_request", "a parameter is wrong, such as a symbol the venue does not know", may_be_symbol=True
    ),
    10006: ApiError("rate_limited", "too many requests"),
    10009: ApiError("refused", "this address is banned"),
    10016: ApiError("temporary", "the venue reports an internal error"),
    10018: ApiError("rate_limited", "too many requests from this address"),
    10024: ApiError("refused", "its rules exclude this location"),
}


@dataclass(frozen=True)
class BybitApi:
    """The contracts, and the newest 1000 trades of a market, no more.

    On a busy market those are a minute; on a quiet one, hours. Earlier days come from the archive, the current hour
    from the feed. Its bars have no taker volume.
    """

    symbols: BybitSymbols
    url: str = "https://api.bybit.com"
    limits: tuple[Limit, ...] = (Limit("", weight=600, seconds=5),)
    # An upper bound: what lies before the newest 1000 trades is not counted as covered.
    trades_reach_back_hours: int = 24
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_TRADES.name)

    def error_in(self, answer: Any) -> ApiError | None:
        """`{"retCode": 10001, "retMsg": "params error: …"}`; 0 is success."""
        if not isinstance(answer, dict) or not answer.get("retCode"):
            return None
        code, message = int(answer["retCode"]), str(answer.get("retMsg", ""))
        known = _ERRORS.get(code, ApiError("invalid_request", "the venue rejected the request"))
        return replace(known, sentence=f"{known.sentence} ({code}: {message})")

    def ban_end_in(self, answer: Any) -> datetime | None:
        return None  # not stated

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
                    raise ValueError(f"its pages do not advance beyond cursor {cursor}")
                cursor = following
        return found

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.symbols.parse(row["symbol"])
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
        # Newest first, in the order of the venue; within one instant the reversed order is kept.
        trades = [self._trade(row) for row in reversed(rows)]
        trades.sort(key=lambda trade: trade.traded_at)
        # Other trades of the oldest instant may not have fitted in, so coverage begins after it; also when fewer trades
        # arrived than requested, since the length of the venue's history is not documented.
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
            # Block trades are agreed outside of the order book: they have no aggressor.
            execution=Execution.UNKNOWN if row.get("isBlockTrade") else Execution.MARKET,
        )

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        return []
