"""Which raw objects the configured markets need.

Belongs here: from datasets and days to tasks of the archive and of the APIs. Does not: Dagster, or which datasets and
venues an object is laid out in (`ingestion.archive`, `ingestion.recent`, `ingestion.venues`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from ingestion.domain.periods import Span

if TYPE_CHECKING:
    from ingestion.archive import Series, Task
    from ingestion.domain.datasets import Dataset
    from ingestion.raw.zone import RawZone
    from ingestion.venues.venue import VenueApi
    from orchestration.config.scope import Scope


def archived_by_span(scope: Scope) -> dict[Span, list[str]]:
    """The names of the archived datasets that the markets use, by the span of their files."""
    datasets = scope.archived_datasets()
    return {span: [dataset.name for dataset in datasets if dataset.span is span] for span in Span}


def archive_series(datasets: Iterable[Dataset], scope: Scope, first_day: date, last_day: date) -> list[Series]:
    """The datasets that the markets and intervals need for the inclusive days."""
    from ingestion.archive import Series

    return [
        Series(dataset, market, interval, first_day, last_day)
        for dataset in datasets
        for market in scope.markets
        if scope.uses(dataset, market)
        for interval in (scope.kline_intervals if dataset.has_interval else ("",))
    ]


def archive_tasks(datasets: Iterable[Dataset], scope: Scope, first_day: date, last_day: date) -> list[Task]:
    """Every raw object of these."""
    return [task for series in archive_series(datasets, scope, first_day, last_day) for task in series.tasks()]


def recent_tasks(
    scope: Scope, zone: RawZone, apis: Mapping[str, VenueApi], now: datetime, received: Sequence[str]
) -> list[Task]:
    """Every raw object that these APIs can bring up to `now`. `received`: venues whose liquidations were received."""
    from ingestion.recent import plan_recent

    return plan_recent(
        scope.markets,
        zone=zone,
        apis=apis,
        now=now,
        kline_interval=scope.kline_intervals[0],
        trades_dataset=scope.trades_dataset,
        received=received,
    )
