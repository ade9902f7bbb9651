"""The simulated markets of two exchanges, the assets they follow, and the days that are planned.

Belongs here: what is decided, not drawn. Does not: drawing (`ingestion.simulator.model`).

* `last_day` is the third-largest bearish spike of bitcoin's two years, by daily and by 4h net taker volume in USD, in
  every market: three planned days sell 3.2, 2.6 and 2.0 (times the market's share) billion USD net, 70 % of it within
  one 4h bar. Every other day is held below 1.4, and every hour of an ordinary day below 0.16, so that no 4h, 8h or
  7-hour window of it competes either. So it is in the sum of both exchanges, too.
* Ether is sold off twelve times in the last two months, each time more than before, and gains most of each fall back
  within a day: events enough for a study that can conclude something. Its last day is none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ingestion.domain.datasets import ARCHIVED, KLINES, LIQUIDATION_SNAPSHOT
from ingestion.venues.simulated import SIMULATED, SIMULATED_B
from ingestion.venues.venue import Venue

CONTRACT_USD: Final = 100


@dataclass(frozen=True)
class Crash:
    """A planned day of long liquidations. `net_usd` of a market with `share` 1; `fall` of the log price within the
    day, `rebound` of it within the next."""

    days_before: int
    net_usd: float
    fall: float
    rebound: float = 0.0


# The last day must be exactly third: two larger ones inside its window, everything else well below.
CRASHES: Final = (
    Crash(113, -3.2e9, 0.115),
    Crash(95, -2.6e9, 0.090),
    Crash(0, -2.0e9, 0.075),
    Crash(17, -1.35e9, 0.050),
    Crash(241, -1.30e9, 0.055),
    Crash(402, -1.25e9, 0.060),
    Crash(589, -1.20e9, 0.055),
)
_SELL_OFFS: Final = (63, 58, 53, 48, 43, 37, 33, 28, 23, 18, 12, 7)
_ETHER_CRASHES: Final = tuple(
    Crash(days_before, -(1.5 + 0.1 * number) * 1e9, 0.060, rebound=0.050)
    for number, days_before in enumerate(_SELL_OFFS)
)


@dataclass(frozen=True)
class Asset:
    """What prices follow. `price`: of the trend of bitcoin. `follows`: correlation of its hours with bitcoin's."""

    name: str
    price: float
    crashes: tuple[Crash, ...]
    follows: float = 0.0


BITCOIN: Final = Asset("BTC", 1.0, CRASHES)
ETHER: Final = Asset("ETH", 1 / 28, _ETHER_CRASHES, follows=0.8)


_EVERY_DATASET: Final = frozenset(ARCHIVED)


@dataclass(frozen=True)
class Listing:
    """One simulated market. A lot is the smallest quantity: 0.001 of the asset, or one contract of 100 USD.

    `lot_scale`, `quote_scale`: decimals of `volume` and `quote_volume`. `share`: of bitcoin's linear USD volume.
    `open_interest`, `liquidated`: usual lots, of the market and of one forced order. `archived`: the datasets with
    files. `root`: the folder of the archive in which the files of its exchange lie.
    """

    symbol: str
    asset: Asset
    folder: str
    inverse: bool
    lot_scale: int
    quote_scale: int
    trades_header: str
    share: float
    rows_share: float
    open_interest: int
    liquidated: int
    archived: frozenset[str] = _EVERY_DATASET
    venue: Venue = SIMULATED
    root: str = ""

    @property
    def market_id(self) -> str:
        return f"{self.venue.venue}:{self.symbol}"

    @property
    def drawn_as(self) -> str:
        """What its randomness is keyed by: equal symbols of two exchanges have flows of their own."""
        return f"{self.root}{self.symbol}"


_LINEAR_HEADER: Final = "id,price,qty,quote_qty,time,is_buyer_maker"
_INVERSE_HEADER: Final = "id,price,qty,base_qty,time,is_buyer_maker"
LINEAR: Final = Listing("BTCUSDT", BITCOIN, "um", False, 3, 4, _LINEAR_HEADER, 1.0, 1.0, 80_000_000, 900)
INVERSE: Final = Listing("BTCUSD_PERP", BITCOIN, "cm", True, 0, 8, _INVERSE_HEADER, 0.06, 0.4, 5_500_000, 200)
ETHER_LINEAR: Final = Listing(
    "ETHUSDT",
    ETHER,
    "um",
    False,
    3,
    4,
    _LINEAR_HEADER,
    0.5,
    0.4,
    900_000_000,
    14_000,
    # Forced orders are known from the feed only, as on most venues.
    archived=_EVERY_DATASET - {LIQUIDATION_SNAPSHOT.name},
)
OTHER_LINEAR: Final = Listing(
    "BTCUSDT",
    BITCOIN,
    "um",
    False,
    3,
    4,
    _LINEAR_HEADER,
    0.35,
    0.4,
    28_000_000,
    900,
    archived=frozenset({KLINES.name}),
    venue=SIMULATED_B,
    root="simulated_b/",
)
LISTINGS: Final = (LINEAR, INVERSE, ETHER_LINEAR, OTHER_LINEAR)
