"""OKX swaps and futures.

Belongs here: symbols, api and feed of OKX. Does not: fetching, decoding, connecting. Its files of past trades are left
out: `docs/add-a-venue.md` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ingestion.datasets import INSTRUMENTS, REST_TRADES
from ingestion.markets import ContractType, Market
from ingestion.venues.venue import (
    ApiBar,
    ApiClient,
    Complaint,
    Instrument,
    Limit,
    TakerRatio,
    Trade,
    TradePage,
    Venue,
    milliseconds,
    moment,
)

_CONTRACT: Final = re.compile(r"^(?P<base>[^-]+)-(?P<quote>USDT|USDC|USD)-(?:SWAP|\d{6})$")

# Linear contracts are a number of coins each, which only the venue knows; these are its oldest ones.
_LINEAR_SIZES: Final = {"BTC": Decimal("0.01"), "ETH": Decimal("0.1")}


@dataclass(frozen=True)
class OkxGrammar:
    shape: str = "like BTC-USDT-SWAP, BTC-USDT-261225 (linear) or BTC-USD-SWAP (inverse)"

    def market(self, symbol: str) -> Market | None:
        found = _CONTRACT.match(symbol)
        if not found:
            return None
        base, quote = found["base"], found["quote"]
        if quote == "USD":
            size = Decimal(100) if base == "BTC" else Decimal(10)
            return Market("okx", symbol, base, quote, ContractType.INVERSE, size)
        return Market("okx", symbol, base, quote, ContractType.LINEAR, _LINEAR_SIZES.get(base))


# ---- api -------------------------------------------------------------------------------------------------------------

_TRADES_A_PAGE: Final = 100
_COMPLAINTS: Final[dict[int, Complaint]] = {
    50001: Complaint("busy", "the venue is being maintained"),
    50004: Complaint("busy", "the venue timed out inside"),
    50011: Complaint("too_many", "too many requests"),
    50013: Complaint("busy", "the venue is overloaded"),
    50026: Complaint("busy", "the venue has a fault inside"),
    50061: Complaint("too_many", "too many requests"),
    51001: Complaint("wrong", "the venue knows no such instrument; check TAKER_MARKETS"),
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
        return Instrument(market, size, listed_at, is_trading=row["state"] == "live")

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


# ---- the venue -------------------------------------------------------------------------------------------------------

OKX: Final = Venue(venue="okx", title="OKX", grammar=OkxGrammar(), api=OkxApi())
