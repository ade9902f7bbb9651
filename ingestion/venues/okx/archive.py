"""OKX's public archive: single trades, one zip file for each day of UTC+8.

Belongs here: key names, file columns, and which files hold a UTC day. Does not: downloading (`ingestion.http`), parsing
mechanics (`ingestion.decode`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from ingestion.domain.datasets import TRADES, Dataset
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, Span
from ingestion.venues.venue import Layout, SourceColumn, SourceObject

# A file's day begins at midnight of UTC+8, which is 16:00 UTC of the day before.
_AHEAD: Final = timedelta(hours=8)
_DAY: Final = timedelta(days=1)
# Current files, with and without `source` (0: an ordinary order, 1: a retail-price-improvement order; both are flow),
# and older ones, which lack the instrument and have size before price.
_ORDERS: Final = (
    ("instrument_name", "trade_id", "side", "price", "size", "created_time", "source"),
    ("instrument_name", "trade_id", "side", "price", "size", "created_time"),
    ("trade_id", "side", "size", "price", "created_time"),
)


@dataclass(frozen=True)
class OkxArchive:
    """Single trades, one zip a day of UTC+8, without a checksum. No other dataset.

    `side` is the taker's, `size` is in contracts. A UTC day consists of parts of two files. Dated contracts of
    one family share a file (`BTC-USDT-futureschain-trades-…`), unless the contract has one of its own.
    """

    url: str = "https://static.okx.com/cdn/okex"
    has_checksums: bool = False
    listing_url: str = ""

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        is_delivered = market.delivers_at is not None and market.delivers_at <= Period.of_day(day).starts_at
        return dataset.name == TRADES.name and not is_delivered

    def layout(self, dataset: Dataset, market: Market) -> Layout:
        return Layout(
            columns=(
                SourceColumn("instrument_name", None, must_equal=market.symbol),
                SourceColumn("trade_id", "trade_id"),
                SourceColumn("side", "is_buyer_maker", true_when="sell", false_when="buy"),
                SourceColumn("price", "price"),
                SourceColumn("size", "quantity"),
                SourceColumn("created_time", "traded_at", "epoch"),
                SourceColumn("source", None),
            ),
            is_bilingual=True,
            headerless=_ORDERS,
            contract_type=market.contract_type,
        )

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """The files of the same day and of the next one, in UTC+8, which together hold the UTC day.

        None after a dated contract's delivery: the file of the next day is no longer published.
        """
        if dataset.name != TRADES.name or period.span is not Span.DAY:
            return ()
        files = [self._file(market, period, period.first_day + n * _DAY) for n in range(2)]
        return tuple(file for file, begins in files if market.delivers_at is None or begins < market.delivers_at)

    def _file(self, market: Market, period: Period, day: date) -> tuple[SourceObject, datetime]:
        """The file of one day of UTC+8, and when it begins."""
        begins = datetime.combine(day, time.min, UTC) - _AHEAD
        holds = (begins, begins + _DAY)
        folder = f"traderecords/trades/daily/{day:%Y%m%d}"
        family = None
        if market.delivers_at is not None:
            key = f"{folder}/{market.symbol.rpartition('-')[0]}-futureschain-trades-{day}.zip"
            family = SourceObject(key, period, holds, is_shared=True)
        return SourceObject(f"{folder}/{market.symbol}-trades-{day}.zip", period, holds, otherwise=family), begins
