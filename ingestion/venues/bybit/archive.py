"""Bybit's public archive: single trades by day, one gzip file each.

Belongs here: key names and file columns. Does not: downloading (`ingestion.http`), parsing mechanics
(`ingestion.decode`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from ingestion.domain.datasets import TRADES, Dataset
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, Span
from ingestion.venues.venue import Layout, SourceColumn, SourceObject

# `side` is the taker's: `Sell` means that the buyer's order rested. `size` is base for linear contracts and USD, that
# is contracts, for inverse ones. `homeNotional` repeats it, and `foreignNotional` is the other side of the trade:
# size × price (quote) where linear, size ÷ price (base) where inverse, printed as a float. Newer files also have `RPI`.
_TRADES: Final = Layout(
    columns=(
        SourceColumn("timestamp", "traded_at", "epoch_seconds"),
        SourceColumn("symbol", None),
        SourceColumn("side", "is_buyer_maker", true_when="Sell", false_when="Buy"),
        SourceColumn("size", "quantity"),
        SourceColumn("price", "price"),
        SourceColumn("tickDirection", None),
        SourceColumn("trdMatchID", None),
        SourceColumn("grossValue", None),
        SourceColumn("homeNotional", None),
        SourceColumn("foreignNotional", "venue_notional", is_rounded=True),
    ),
    packing="gzip",
    # Older files are in descending order, and some have times in seconds only: the one reproducible order is by time
    # and then by every column.
    numbers_rows=True,
    identity="trdMatchID",
)


@dataclass(frozen=True)
class BybitArchive:
    """Single trades by day, one gzip file each, without a checksum. No other dataset."""

    url: str = "https://public.bybit.com"
    has_checksums: bool = False
    listing_url: str = ""

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        return dataset.name == TRADES.name

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        columns = tuple(
            replace(column, must_equal=market.symbol) if column.name == "symbol" else column
            for column in _TRADES.columns
        )
        return replace(_TRADES, columns=columns, contract_type=market.contract_type, contract_size=market.contract_size)

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The one object that holds all of `period`, where the venue publishes such objects."""
        if dataset.name != TRADES.name or period.span is not Span.DAY:
            return ()
        return (SourceObject(f"trading/{market.symbol}/{market.symbol}{period.label}.csv.gz", period),)
