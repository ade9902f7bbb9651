"""Invented messages in the form that venues document. Belongs here: their shape. Does not: sending, expectations."""

from __future__ import annotations

import json
from typing import Any


def force_order(symbol: str = "BTCUSDT", side: str = "SELL", *, at: int, **fields: Any) -> str:
    """Binance: one liquidation order; `at` in milliseconds."""
    order: dict[str, Any] = {
        "s": symbol,
        "S": side,
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.5",
        "p": "59000",
        "ap": "60000.5",
    }
    order |= {"X": "FILLED", "l": "0.2", "z": "0.4", "T": at} | fields
    return json.dumps({"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "E": at + 2, "o": order}})


def agg_trade(symbol: str = "BTCUSDT", number: int = 1, *, at: int, **fields: Any) -> str:
    """Binance: one aggregate of two trades; the taker bought."""
    data = {"e": "aggTrade", "E": at + 2, "s": symbol, "a": number, "p": "60000.1", "q": "0.010", "nq": "0.004"}
    data |= {"f": 2 * number, "l": 2 * number + 1, "T": at, "m": False, "st": 1} | fields
    return json.dumps({"stream": f"{symbol.lower()}@aggTrade", "data": data})


def single_trade(execution: str | None, *, at: int, **fields: Any) -> str:
    """Binance: one trade with its execution, as `@trade` has it; None: without the field."""
    data: dict[str, Any] = {"e": "trade", "E": at, "T": at, "s": "ETHUSDT", "t": 7, "p": "2000", "q": "1", "m": True}
    data |= ({} if execution is None else {"X": execution}) | fields
    return json.dumps({"stream": "ethusdt@trade", "data": data})


def all_liquidation(*rows: tuple[str, str, str], at: int, symbol: str = "BTCUSDT") -> str:
    """Bybit: (side of the position, size, price) each."""
    data = [{"T": at, "s": symbol, "S": side, "v": size, "p": price} for side, size, price in rows]
    return json.dumps({"topic": f"allLiquidation.{symbol}", "type": "snapshot", "ts": at + 90, "data": data})


def public_trade(side: str = "Buy", *, at: int, **fields: Any) -> str:
    """Bybit: one trade."""
    row = {"T": at, "s": "BTCUSDT", "S": side, "v": "0.01", "p": "60000", "L": "PlusTick", "i": "a-1", "BT": False}
    return json.dumps({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": at, "data": [row | fields]})


def liquidation_order(side: str, position: str | None, *, at: int, symbol: str = "BTC-USDT-SWAP") -> str:
    """OKX: one liquidation of 39 contracts; `position` None: without the field."""
    detail = {"bkLoss": "0", "bkPx": "60000.5", "ccy": "", "side": side, "sz": "39", "ts": str(at)}
    detail |= {} if position is None else {"posSide": position}
    row = {"details": [detail], "instFamily": "BTC-USDT", "instId": symbol, "instType": "SWAP", "uly": "BTC-USDT"}
    return json.dumps({"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [row]})


def okx_trade(side: str = "sell", *, at: int, **fields: Any) -> str:
    """OKX: three trades of one taker order, as one."""
    row = {"instId": "BTC-USDT-SWAP", "tradeId": "130", "px": "60000.1", "sz": "5", "side": side, "ts": str(at)}
    row |= {"count": "3"} | fields
    return json.dumps({"arg": {"channel": "trades", "instId": "BTC-USDT-SWAP"}, "data": [row]})
