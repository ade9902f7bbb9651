"""A fake REST API on loopback: Binance's, Bybit's and OKX's paths with invented trades.

Belongs here: serving, counting, and planned misbehaviour. Does not: expectations.

Trades follow a rule instead of a list, so that any time of any day can be requested: trade number n of a market happens
at second `n * every`, at a price and a quantity that follow from n. Bars and ratios are exact sums of those trades.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

HOUR_MS = 3_600_000
WEIGHTS = {"klines": 1, "aggTrades": 20, "exchangeInfo": 1}


class Planned:
    """One planned answer: a status with headers and a body, of text or JSON."""

    def __init__(self, status: int, body: Any = "", **headers: str) -> None:
        self.status = status
        self.body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class VenueServer:
    """Serves invented trades up to `clock()`, and answers as planned.

    `every`: seconds between two trades. `planned[path]`: the next answers for paths with this ending, in order, before
    regular ones. `used_weight`: the used weight that the header reports; None: that of the requests so far.
    `ratio_label_ms`: how far the label of a ratio lies behind the first instant of its hour.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC), *, every: int = 60) -> None:
        self.clock, self.every = clock, every
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.planned: dict[str, deque[Planned]] = defaultdict(deque)
        self.used_weight: int | None = None
        self.ratio_label_ms = 0
        self.contract_sizes = {"BTCUSD_PERP": 100, "ETHUSD_PERP": 10}
        self.rate_limit = 2400
        self.faults: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # header and body are two writes; waiting between them costs 40 ms

            def do_GET(self) -> None:
                server.respond(self)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(server.clock().replace(microsecond=0), usegmt=True)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def plan(self, path: str, *answers: Planned) -> None:
        self.planned[path].extend(answers)

    def requested(self, ending: str) -> list[dict[str, str]]:
        """The parameters of every request whose path has this ending."""
        return [parameters for path, parameters in self.requests if path.endswith(ending)]

    @contextmanager
    def running(self) -> Iterator[VenueServer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()

    # ---- answering

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        parameters = dict(parse_qsl(parts.query))
        self.requests.append((parts.path, parameters))
        planned = next((answers for ending, answers in self.planned.items() if parts.path.endswith(ending)), None)
        answer = planned.popleft() if planned else Planned(200, self._served(parts.path, parameters))
        request.send_response(answer.status)
        used = self.used_weight if self.used_weight is not None else self._weight()
        headers = {"X-MBX-USED-WEIGHT-1M": str(used), **answer.headers, "Content-Length": str(len(answer.body))}
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer.body)

    def _weight(self) -> int:
        return sum(WEIGHTS.get(path.rsplit("/", 1)[-1], 0) for path, _ in self.requests)

    def _served(self, path: str, parameters: dict[str, str]) -> Any:
        name = path.rsplit("/", 1)[-1]
        return {
            "exchangeInfo": self._exchange_info,
            "klines": self._klines,
            "aggTrades": self._agg_trades,
            "takerlongshortRatio": self._ratios,
            "takerBuySellVol": self._volumes,
            "instruments-info": self._bybit_instruments,
            "recent-trade": self._bybit_trades,
            "instruments": self._okx_instruments,
            "history-trades": self._okx_trades,
        }[name](path, parameters)

    # ---- the rule

    @property
    def last_number(self) -> int:
        """The newest trade that has happened."""
        return (self._now() - 1) // (self.every * 1000)

    def trade(self, number: int, *, inverse: bool = False) -> tuple[int, Decimal, Decimal, bool]:
        """Milliseconds, price, quantity, and whether the taker bought."""
        price = Decimal(40_000) + Decimal(number % 100) / 10
        quantity = Decimal(number % 7 + 1) if inverse else Decimal(number % 9 + 1) / 1000
        return number * self.every * 1000, price, quantity, number % 3 != 0

    def bar(self, opened_ms: int, *, inverse: bool = False) -> list[Any]:
        """One bar as Binance prints it, of the trades that have happened."""
        first, last = -(-opened_ms // (self.every * 1000)), (opened_ms + HOUR_MS - 1) // (self.every * 1000)
        trades = [self.trade(n, inverse=inverse) for n in range(first, min(last, self.last_number) + 1)]
        prices = [price for _, price, _, _ in trades] or [Decimal(40_000)]
        values = [round(100 * q / p, 8) if inverse else p * q for _, p, q, _ in trades]
        bought = [is_bought for *_, is_bought in trades]
        amounts = [q for _, _, q, _ in trades]
        return [
            opened_ms,
            *(str(one) for one in (prices[0], max(prices), min(prices), prices[-1], sum(amounts))),
            opened_ms + HOUR_MS - 1,
            str(sum(values)),
            len(trades),
            str(sum(q for q, is_bought in zip(amounts, bought, strict=True) if is_bought)),
            str(sum(v for v, is_bought in zip(values, bought, strict=True) if is_bought)),
            "0",
        ]

    def _now(self) -> int:
        return int(self.clock().timestamp() * 1000)

    # ---- Binance

    def _exchange_info(self, path: str, parameters: dict[str, str]) -> Any:
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.rate_limit},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        ]
        if path.startswith("/dapi"):
            symbols = [
                {"symbol": symbol, "baseAsset": symbol[:3], "quoteAsset": "USD", "contractStatus": "TRADING"}
                | {"contractSize": size, "onboardDate": 1597042800000}
                for symbol, size in self.contract_sizes.items()
            ]
        else:
            symbols = [
                {"symbol": f"{base}{quote}", "baseAsset": base, "quoteAsset": quote, "status": status}
                | {"onboardDate": 1569398400000, "deliveryDate": 1772438400000 if base == "OLD" else 4133404800000}
                for base, quote, status in (("BTC", "USDT", "TRADING"), ("OLD", "USDT", "SETTLING"), ("ETH", "BTC", ""))
            ]
        return {"timezone": "UTC", "rateLimits": limits, "symbols": symbols}

    def _klines(self, path: str, parameters: dict[str, str]) -> Any:
        start, end = int(parameters["startTime"]), min(int(parameters["endTime"]), self._now())
        hours = range(-(-start // HOUR_MS) * HOUR_MS, end + 1, HOUR_MS)
        # As documented for COIN-M, the newest ones within the range.
        return [self.bar(hour, inverse=path.startswith("/dapi")) for hour in hours][-int(parameters["limit"]) :]

    def _agg_trades(self, path: str, parameters: dict[str, str]) -> Any:
        if "fromId" in parameters and ("startTime" in parameters or "endTime" in parameters):
            self.faults.append("fromId together with times")
        if "fromId" in parameters:
            first, last = int(parameters["fromId"]), self.last_number
        else:
            start, end = int(parameters["startTime"]), int(parameters["endTime"])
            if end - start >= HOUR_MS:
                self.faults.append("more than an hour")
            if start < self._now() - 48 * HOUR_MS:
                self.faults.append("further back than 48 hours")
            first, last = -(-start // (self.every * 1000)), min(end // (self.every * 1000), self.last_number)
        numbers = range(first, min(last, first + int(parameters["limit"]) - 1) + 1)
        return [self._agg_trade(n, inverse=path.startswith("/dapi")) for n in numbers]

    def _agg_trade(self, number: int, *, inverse: bool) -> dict[str, Any]:
        at, price, quantity, is_bought = self.trade(number, inverse=inverse)
        row: dict[str, Any] = {"a": number, "p": str(price), "q": str(quantity), "f": 2 * number, "l": 2 * number + 1}
        return row | {"T": at, "m": not is_bought} | ({} if inverse else {"nq": str(quantity / 2)})

    def _ratios(self, path: str, parameters: dict[str, str]) -> Any:
        rows: list[dict[str, Any]] = []
        for bar, label in self._labelled(parameters, inverse=False):
            bought, sold = Decimal(bar[9]), Decimal(bar[5]) - Decimal(bar[9])
            rows.append({"buySellRatio": str(round(bought / sold, 4)), "buyVol": str(bought), "sellVol": str(sold)})
            rows[-1]["timestamp"] = label
        return rows

    def _volumes(self, path: str, parameters: dict[str, str]) -> Any:
        rows = []
        for bar, label in self._labelled(parameters, inverse=True):
            row = {"pair": parameters["pair"], "contractType": parameters["contractType"], "timestamp": label}
            row |= {"takerBuyVol": bar[9], "takerBuyVolValue": bar[10]}
            rows.append(row | {"takerSellVolValue": str(Decimal(bar[7]) - Decimal(bar[10]))})
        return rows

    def _labelled(self, parameters: dict[str, str], *, inverse: bool) -> list[tuple[list[Any], int]]:
        start, end = int(parameters["startTime"]), min(int(parameters["endTime"]), self._now())
        labels = range(-(-start // HOUR_MS) * HOUR_MS, end + 1, HOUR_MS)
        return [(self.bar(label - self.ratio_label_ms, inverse=inverse), label) for label in labels]

    # ---- Bybit

    def _bybit_instruments(self, path: str, parameters: dict[str, str]) -> Any:
        rows = {
            "linear": [("BTCUSDT", "BTC", "USDT", "Trading"), ("ETHPERP", "ETH", "USDC", "Closed")],
            "inverse": [("BTCUSD", "BTC", "USD", "Trading")],
        }[parameters["category"]]
        page = int(parameters.get("cursor", "0"))
        symbol, base, quote, status = rows[page]
        row = {"symbol": symbol, "baseCoin": base, "quoteCoin": quote, "status": status, "launchTime": "1585526400000"}
        row["deliveryTime"] = "1772438400000" if status == "Closed" else "0"
        more = str(page + 1) if page + 1 < len(rows) else ""
        return _bybit({"category": parameters["category"], "list": [row], "nextPageCursor": more})

    def _bybit_trades(self, path: str, parameters: dict[str, str]) -> Any:
        rows = []
        for number in range(self.last_number, max(-1, self.last_number - int(parameters["limit"])), -1):
            at, price, quantity, is_bought = self.trade(number, inverse=parameters["category"] == "inverse")
            row = {"execId": f"e-{number}", "symbol": parameters["symbol"], "price": str(price), "size": str(quantity)}
            row |= {"side": "Buy" if is_bought else "Sell", "time": str(at)}
            rows.append(row | {"isBlockTrade": number % 50 == 0})
        return _bybit({"category": parameters["category"], "list": rows})

    # ---- OKX

    def _okx_instruments(self, path: str, parameters: dict[str, str]) -> Any:
        if parameters["instType"] == "FUTURES":
            return {"code": "0", "msg": "", "data": []}
        rows = [("BTC-USDT-SWAP", "linear", "0.01", "live"), ("BTC-USD-SWAP", "inverse", "100", "suspend")]
        return {
            "code": "0",
            "msg": "",
            "data": [
                {"instId": name, "ctType": kind, "ctVal": size, "ctMult": "1", "listTime": "1573557408000"}
                | {
                    "state": state,
                    "baseCcy": "",
                    "quoteCcy": "",
                    "expTime": "1772438400000" if state == "suspend" else "",
                }
                for name, kind, size, state in rows
            ],
        }

    def _okx_trades(self, path: str, parameters: dict[str, str]) -> Any:
        if parameters["type"] == "2":
            newest = min(-(-int(parameters["after"]) // (self.every * 1000)) - 1, self.last_number)
        else:
            newest = int(parameters["after"]) - 1
        rows = []
        for number in range(newest, newest - int(parameters["limit"]), -1):
            at, price, quantity, is_bought = self.trade(number)
            row = {"instId": parameters["instId"], "side": "buy" if is_bought else "sell", "sz": str(quantity * 1000)}
            rows.append(row | {"px": str(price), "tradeId": str(number), "ts": str(at), "source": "0"})
        return {"code": "0", "msg": "", "data": rows}


def _bybit(result: Any) -> Any:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 0}
