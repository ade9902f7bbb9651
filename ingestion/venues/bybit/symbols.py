"""Bybit's symbols: `BTCUSDT`, `BTCPERP` (linear), `BTCUSD` (inverse), and their dated contracts.

Belongs here: parsing a symbol into a market. Does not: files, REST, feeds.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from ingestion.domain.markets import ContractType, Market, delivery_instant
from ingestion.domain.periods import Period

# USDT-quoted contracts carry their quote, USDC-quoted perpetuals end in PERP; symbols that end in USD are inverse, one
# USD per contract. Delivery: linear `BTC-26DEC25` (USDC), `BTCUSDT-26DEC25`; inverse `BTCUSDZ25`. There are no
# underscores, which excludes another venue's `BTCUSD_PERP`.
_LINEAR: Final = re.compile(r"^(?P<base>[^\W_]+?)USDT(?:-(?P<delivery>\d{1,2}[A-Z]{3}\d{2}))?$")
_LINEAR_USDC: Final = re.compile(r"^(?P<base>[^\W_]+?)(?:PERP|-(?P<delivery>\d{1,2}[A-Z]{3}\d{2}))$")
_INVERSE: Final = re.compile(r"^(?P<base>[^\W_]+?)USD(?P<delivery>[FGHJKMNQUVXZ]\d{2})?$")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# The month codes of the futures industry, January first.
_MONTH_CODES: Final = "FGHJKMNQUVXZ"


@dataclass(frozen=True)
class BybitSymbols:
    """See `shape`."""

    shape: str = "like BTCUSDT, BTCPERP (linear) or BTCUSD (inverse)"

    def parse(self, symbol: str) -> Market | None:
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
    """The delivery instant of `26DEC25`; None without a day, or for one that the calendar does not have."""
    if not day or day[-5:-2] not in _MONTHS:
        return None
    return delivery_instant(f"{day[-2:]}{_MONTHS.index(day[-5:-2]) + 1:02d}{day[:-5]:0>2}")


def _delivery_of_month(code: str | None) -> datetime | None:
    """The delivery instant of `Z25`: the last Friday of that month. The symbol itself has no day; quarterly contracts
    have followed this convention."""
    if not code:
        return None
    last = Period.of_month(date(2000 + int(code[1:]), _MONTH_CODES.index(code[0]) + 1, 1)).last_day
    return delivery_instant(f"{last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7):%y%m%d}")
