"""OKX swaps and futures.

Belongs here: symbols, api and feed of OKX. Does not: fetching, decoding, connecting. Its files of past trades are left
out: `docs/add-a-venue.md` says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ingestion.markets import ContractType, Market
from ingestion.venues.venue import Venue

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


OKX: Final = Venue(venue="okx", title="OKX", grammar=OkxGrammar())
