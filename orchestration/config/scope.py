"""What is ingested: markets, kline intervals, the preferred trades dataset, the first day.

Belongs here: the `Scope` and the one rule that decides which datasets its markets use. Does not: which raw objects
these make (`orchestration.defs.plan`), or where they come from (`orchestration.config.endpoints`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ingestion.domain.datasets import ARCHIVED, FLOW_DATASETS, Dataset
from ingestion.domain.markets import Market
from ingestion.venues import trades_dataset_of, venue_of


@dataclass(frozen=True)
class Scope:
    """The part of the market that this installation covers. `kline_intervals` begin with the finest."""

    markets: tuple[Market, ...]
    kline_intervals: tuple[str, ...]
    trades_dataset: str
    first_day: date

    @property
    def market_ids(self) -> list[str]:
        return [market.market_id for market in self.markets]

    @property
    def is_simulated(self) -> bool:
        """Whether any market is simulated: then every number may be."""
        return any(venue_of(market.venue).is_simulated for market in self.markets)

    def uses(self, dataset: Dataset, market: Market) -> bool:
        """Of the trades datasets, only the one that the market's flow is read from; every other dataset."""
        return dataset.name not in FLOW_DATASETS or dataset.name == trades_dataset_of(market, self.trades_dataset)

    def archived_datasets(self) -> list[Dataset]:
        """The archived datasets that at least one of the markets uses."""
        return [dataset for dataset in ARCHIVED.values() if any(self.uses(dataset, market) for market in self.markets)]
