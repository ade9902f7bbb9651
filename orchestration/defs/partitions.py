"""The two partitions definitions: what venues publish by day, and what they publish by month.

Belongs here: TRADING_DAYS and TRADING_MONTHS, the days a partition stands for, and ranges of keys. Does not: which
dataset uses which.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import dagster as dg

from ingestion.domain.periods import Period, Span

_RANGE_START: Final = "dagster/asset_partition_range_start"
_RANGE_END: Final = "dagster/asset_partition_range_end"


def trading_days(first_day: date) -> dg.DailyPartitionsDefinition:
    """TRADING_DAYS: UTC days from `first_day` to yesterday, keyed `2024-08-08`."""
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="UTC")


def trading_months(first_day: date) -> dg.MonthlyPartitionsDefinition:
    """TRADING_MONTHS: UTC months from that of `first_day` to the running one, keyed `2024-08`."""
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{first_day:%Y-%m}",
        fmt="%Y-%m",
        timezone="UTC",
        end_offset=1,  # the running month grows every day and is ingested before it ends
    )


def partitions_of(span: Span, first_day: date) -> dg.TimeWindowPartitionsDefinition:
    return trading_days(first_day) if span is Span.DAY else trading_months(first_day)


def period_of(key: str) -> Period:
    """The days that a partition key of either definition stands for."""
    if len(key) == len("2024-08"):
        return Period.of_month(date.fromisoformat(f"{key}-01"))
    return Period.of_day(date.fromisoformat(key))


def days_of(keys: Iterable[str], first_day: date, last_day: date) -> tuple[date, date] | None:
    """First and last day of the partitions, clipped to the inclusive range; None when nothing is left."""
    periods = sorted(period_of(key) for key in keys)
    first, last = max(periods[0].first_day, first_day), min(periods[-1].last_day, last_day)
    return (first, last) if first <= last else None


def key_ranges(periods: Iterable[Period]) -> list[tuple[str, str]]:
    """Partition keys of the periods as unbroken ranges, so that neighbours share one run."""
    ranges: list[tuple[Period, Period]] = []
    for period in sorted(set(periods)):
        if ranges and period.first_day == ranges[-1][1].last_day + timedelta(days=1):
            ranges[-1] = (ranges[-1][0], period)
        else:
            ranges.append((period, period))
    return [(first.label, last.label) for first, last in ranges]


def range_tags(first_key: str, last_key: str) -> dict[str, str]:
    """Run tags for an inclusive range of partitions."""
    return {_RANGE_START: first_key, _RANGE_END: last_key}
