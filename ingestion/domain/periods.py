"""UTC days and months: the spans that venues publish files for, and that key the raw zone.

Belongs here: calendar arithmetic. Does not: what is published when (`ingestion.venues`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache


class Span(StrEnum):
    """How long one raw object is. The value names its partition key: `date=…` or `month=…`."""

    DAY = "date"
    MONTH = "month"


@dataclass(frozen=True, order=True)
class Period:
    """One UTC day or one UTC calendar month. Both days are inclusive."""

    first_day: date
    last_day: date
    span: Span

    @classmethod
    def of_day(cls, day: date) -> Period:
        return cls(day, day, Span.DAY)

    @classmethod
    def of_month(cls, day: date) -> Period:
        """The calendar month that holds `day`."""
        first = day.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
        return cls(first, following - timedelta(days=1), Span.MONTH)

    @classmethod
    def holding(cls, day: date, span: Span) -> Period:
        return cls.of_day(day) if span is Span.DAY else cls.of_month(day)

    @cached_property
    def label(self) -> str:
        """`2024-08-08` for a day, `2024-08` for a month: as in archive names and raw keys."""
        return f"{self.first_day:%Y-%m-%d}" if self.span is Span.DAY else f"{self.first_day:%Y-%m}"

    @cached_property
    def partition(self) -> str:
        """`date=2024-08-08` or `month=2024-08`: the last folder of a raw key."""
        return f"{self.span}={self.label}"

    @property
    def starts_at(self) -> datetime:
        return datetime.combine(self.first_day, time.min, UTC)

    @property
    def ends_at(self) -> datetime:
        """Exclusive: midnight after the last day."""
        return datetime.combine(self.last_day + timedelta(days=1), time.min, UTC)

    def days(self) -> Iterator[date]:
        return days_between(self.first_day, self.last_day)

    def __str__(self) -> str:
        return self.label


def days_between(first_day: date, last_day: date) -> Iterator[date]:
    """Every day from `first_day` to `last_day`, both inclusive."""
    return (first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1))


@lru_cache(maxsize=64)
def periods_between(first_day: date, last_day: date, span: Span) -> tuple[Period, ...]:
    """The periods that touch the inclusive range, in order. The same ones for every market."""
    return tuple(sorted({Period.holding(day, span) for day in days_between(first_day, last_day)}))


@lru_cache(maxsize=64)
def parts_between(first_day: date, last_day: date, span: Span) -> tuple[tuple[Period, date, date], ...]:
    """The periods that touch the inclusive range, each with the first and the last day of the range in it."""
    periods = periods_between(first_day, last_day, span)
    return tuple((each, max(first_day, each.first_day), min(last_day, each.last_day)) for each in periods)
