"""Which ingestion runs a request for days needs.

Belongs here: from the days of `taker run` to datasets and ranges, and what can be brought up to this hour. Does not:
running them (`orchestration.runs.execution`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingestion.domain.periods import Period, Span
from orchestration.config.days import yesterday
from orchestration.config.endpoints import Endpoints
from orchestration.config.scope import Scope

if TYPE_CHECKING:
    import dagster as dg

# Klines, metrics and funding are small: two years of them. Trades and liquidations are not: the last week.
RECENT_DAYS: Final = 7
_RECENT_DATASETS: Final = ("aggTrades", "trades", "liquidationSnapshot")


class RangeError(ValueError):
    """The requested days make no range. The text states why, in one sentence."""


@dataclass(frozen=True)
class IngestRange:
    """One ingestion run: datasets of one span over inclusive days."""

    datasets: tuple[str, ...]
    span: Span
    first_day: date
    last_day: date

    @property
    def partitions(self) -> tuple[str, str]:
        """The keys of the first and the last partition."""
        return Period.holding(self.first_day, self.span).label, Period.holding(self.last_day, self.span).label


def ingest_ranges(
    scope: Scope, first_day: date | None, last_day: date | None, begins: Mapping[str, date] | None = None
) -> list[IngestRange]:
    """The ingestion runs for a request; RangeError when the days make no sense.

    Without `first_day`: from TAKER_FIRST_DAY, but datasets of `begins` from the day there, and trades and liquidations
    of the last 7 days.
    Without `last_day`: yesterday.
    """
    last = last_day or yesterday()
    first = first_day or scope.first_day
    for day in (last, first):
        if day > yesterday():
            raise RangeError(f"{day} has not ended yet (UTC); the newest day that can be requested is {yesterday()}")
    if first > last:
        raise RangeError(f"the first day {first} is after the last day {last}; swap them")
    starts: dict[str, date] = {}
    if first_day is None:
        recent = max(first, last - timedelta(days=RECENT_DAYS - 1))
        starts = {**dict.fromkeys(_RECENT_DATASETS, recent), **(begins or {})}
    by_range: dict[tuple[Span, date], list[str]] = {}
    for dataset in scope.archived_datasets():
        by_range.setdefault((dataset.span, starts.get(dataset.name, first)), []).append(dataset.name)
    ranges = [IngestRange(tuple(names), span, start, last) for (span, start), names in by_range.items()]
    # Small and long first: if the run is interrupted, the history is already there.
    return sorted(ranges, key=lambda r: (r.span is Span.DAY, r.first_day))


def today_keys(endpoints: Endpoints, spool: Path) -> list[dg.AssetKey]:
    """What can be brought up to this hour: the datasets of APIs if any may be called, those of feeds if a collector
    has written to the spool."""
    from ingestion.live.seal import collected_venues
    from orchestration.defs.recent import API_DATASET_KEYS, FEED_DATASET_KEYS

    from_api = API_DATASET_KEYS if endpoints.rest_urls_with(collected_venues(spool)) else ()
    return [*from_api, *(FEED_DATASET_KEYS if spool.is_dir() else ())]
