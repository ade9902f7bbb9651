"""OKX's REST API: contracts, and the trades of the last months.

Belongs here: paths, parameters, limits, error codes, and how the answers read.
Does not: sending, waiting and retrying (`ingestion.http.rest`), or which days are requested (`ingestion.recent`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import INSTRUMENTS, REST_TRADES
from ingestion.domain.markets import Market
from ingestion.http.values import ApiClient, ApiError, Limit
from ingestion.venues.messages import milliseconds, moment
from ingestion.venues.okx.symbols import OkxSymbols
from ingestion.venues.venue import ApiBar, Instrument, TakerRatio, Trade, TradePage

_TRADES_A_PAGE: Final = 100
_ERRORS: Final[dict[int, ApiError]] = {
    50001: ApiError("temporary", "the venue is being maintained"),
    50004: ApiError("temporary", "the venue reports an internal time-out"),
    50011: ApiError("rate_limited", "too many requests"),
    50013: ApiError("temporary", "the venue is overloaded"),
    50026: ApiError("temporary", "the venue reports an internal error"),
    50061: ApiError("rate_limited", "too many requests"),
    51001: ApiError("unknown_symbol", "the venue knows no such instrument"),
}


@dataclass(frozen=True)
class OkxApi:
    """Contracts, and every trade of the last three months, a hundred at a time. Its bars have no taker volume."""

    symbols: OkxSymbols
    url: str = "https://www.okx.com"
    limits: tuple[Limit, ...] = (
        Limit("/api/v5/market/history-trades", weight=20, seconds=2),
        Limit("/api/v5/public/instruments", weight=20, seconds=2),
    )
    # Its history reaches further back, but a busy day takes ten thousand requests, at ten a second.
    trades_reach_back_hours: int = 24
    offers: tuple[str, ...] = (INSTRUMENTS.name, REST_TRADES.name)

    def error_in(self, answer: Any) -> ApiError | None:
        """`{"code": "51001", "msg": "…", "data": []}`; "0" is success."""
        if not isinstance(answer, dict) or str(answer.get("code", "0")) in ("0", ""):
            return None
        code, message = str(answer["code"]), str(answer.get("msg", ""))
        known = _ERRORS.get(
            int(code) if code.isdigit() else -1, ApiError("invalid_request", "the venue rejected the request")
        )
        return replace(known, sentence=f"{known.sentence} ({code}: {message})")

    def ban_end_in(self, answer: Any) -> datetime | None:
        return None  # not stated

    def instruments(self, client: ApiClient) -> list[Instrument]:
        found = []
        for kind in ("SWAP", "FUTURES"):
            rows = client.get("/api/v5/public/instruments", {"instType": kind}, weight=1)["data"]
            found += [one for row in rows if (one := self._instrument(row)) is not None]
        return found

    def _instrument(self, row: dict[str, Any]) -> Instrument | None:
        market = self.symbols.parse(row["instId"])
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
        # Pages go back in time: the first one from an instant, the next ones from an id, so that no trade is lost.
        position: dict[str, str | int] = {"type": 2, "after": milliseconds(until)}
        newest_first: list[Trade] = []
        begins = since
        while True:
            wanted: dict[str, str | int] = {"instId": market.symbol, **position, "limit": _TRADES_A_PAGE}
            rows = client.get("/api/v5/market/history-trades", wanted, weight=1)["data"]
            if not rows:
                # The venue's history, or the market, begins here: coverage begins with its first trade.
                begins = newest_first[-1].traded_at if newest_first else until
                break
            page = [self._trade(row) for row in rows]
            newest_first += [trade for trade in page if since <= trade.traded_at < until]
            if page[-1].traded_at < since:
                break
            if rows[-1]["tradeId"] == position["after"]:
                raise ValueError(f"its pages do not advance beyond trade {rows[-1]['tradeId']}")
            position = {"type": 1, "after": rows[-1]["tradeId"]}
        if begins < until:
            yield TradePage(begins, until, newest_first[::-1])

    def _trade(self, row: dict[str, Any]) -> Trade:
        return Trade(
            symbol=row["instId"],
            trade_id=str(row["tradeId"]),
            number=None,  # contiguous ids are not documented
            traded_at=moment(row["ts"]),
            price=Decimal(row["px"]),
            quantity=Decimal(row["sz"]),
            is_taker_buy={"buy": True, "sell": False}[row["side"]],
        )

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]:
        return []
