"""OKX's instrument names: `BTC-USDT-SWAP`, `BTC-USDT-261225`, `BTC-USD_UM-SWAP` (linear), `BTC-USD-SWAP` (inverse).

Belongs here: parsing a symbol into a market, with the contract sizes that are known without a request.
Does not: files, REST, feeds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ingestion.domain.markets import ContractType, Market, delivery_instant

# USD_UM is linear: priced in USD, margined and settled in USD or any of several stable coins. Its XPERP contracts are
# futures with a delivery date years ahead, used like perpetual ones.
_CONTRACT: Final = re.compile(
    r"^(?P<base>[^-]+)-(?P<quote>USDT|USDC|USD)(?P<margin>_UM(?:_XPERP)?)?-(?:SWAP|(?P<delivery>\d{6}))$"
)

# A linear contract is a number of coins that only the venue's API states, and that differs between contracts of one
# coin; these are the oldest ones.
_LINEAR_SIZES: Final = {"BTC-USDT-SWAP": Decimal("0.01"), "ETH-USDT-SWAP": Decimal("0.1")}


@dataclass(frozen=True)
class OkxSymbols:
    """See `shape`."""

    shape: str = "like BTC-USDT-SWAP, BTC-USDT-261225, BTC-USD_UM-SWAP (linear) or BTC-USD-SWAP (inverse)"

    def parse(self, symbol: str) -> Market | None:
        found = _CONTRACT.match(symbol)
        if not found or (found["margin"] and found["quote"] != "USD"):
            return None
        base, quote, delivers_at = found["base"], found["quote"], delivery_instant(found["delivery"])
        if quote == "USD" and not found["margin"]:
            size = Decimal(100) if base == "BTC" else Decimal(10)
            return Market.of("okx", symbol, base, quote, ContractType.INVERSE, size, delivers_at)
        return Market.of("okx", symbol, base, quote, ContractType.LINEAR, _LINEAR_SIZES.get(symbol), delivers_at)
