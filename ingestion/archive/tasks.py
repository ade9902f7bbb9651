"""What is brought up to date: tasks, their outcomes, and which of them are worth requesting.

Belongs here: one raw object with its days (`Task`), all of a dataset of a market (`Series`), the result (`Outcome`),
`plan`, days and keys of a task.
Does not: carrying them out (`ingestion.archive.ingest`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import (
    IngestionError,
)
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, Span, days_between, parts_between
from ingestion.raw.receipts import series_folder
from ingestion.raw.zone import ObjectId, Receipt
from ingestion.venues import archive_of
from ingestion.venues.venue import SourceObject, VenueArchive

# The day in an object's key: the last one in its name.
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?=[^/]*$)")
Status = Literal["stored", "unchanged", "absent", "kept", "refused", "failed", "due"]


@dataclass(frozen=True)
class Task:
    """One raw object to bring up to date, and the requested days of it (inclusive)."""

    dataset: Dataset
    market: Market
    interval: str
    period: Period
    first_day: date
    last_day: date

    @property
    def object_id(self) -> ObjectId:
        return ObjectId(self.dataset.name, self.market, self.interval, self.period)

    def __str__(self) -> str:
        return str(self.object_id)


@dataclass(frozen=True)
class Series:
    """A dataset of a market, at an interval, over the inclusive days: the tasks that `plan` makes of it, without making
    them. Of a large zone a run has something to do for a few of them."""

    dataset: Dataset
    market: Market
    interval: str
    first_day: date
    last_day: date

    @property
    def folder(self) -> str:
        """The folder of its objects."""
        return series_folder(self.dataset.name, self.market, self.interval)

    def parts(self) -> tuple[tuple[Period, date, date], ...]:
        """Each period with its first and last requested day; those of which the venue publishes nothing too."""
        last_day = min(self.last_day, delivery_day(self.market) or self.last_day)
        return parts_between(self.first_day, last_day, self.dataset.span)

    def task(self, period: Period, first: date, last: date) -> Task | None:
        """The task of one of its parts; None where the venue publishes no such data."""
        archive = archive_of(self.market)
        if archive is None or not any(
            archive.publishes(self.dataset, self.market, day) for day in days_between(first, last)
        ):
            return None
        return Task(self.dataset, self.market, self.interval, period, first, last)

    def tasks(self) -> list[Task]:
        return [task for part in self.parts() if (task := self.task(*part)) is not None]


@dataclass(frozen=True)
class Outcome:
    """The result of one task.

    `stored`: new or changed. `unchanged`: same source as before. `absent`: the venue has no file. `kept`: the venue
    withdrew a file that is stored here, and the stored one stays. `refused`: the venue has a file that cannot be used,
    and nothing was found in its place; `error` states why, as does the receipt, and a good version stored before stays.
    `failed`: the archive could not be reached or the raw zone not be written; `error` states why, and the raw zone is
    unchanged. `due`: of a dry run alone; the task is not up to date.

    `rests_on`: the keys of the archive that the outcome rests on beside what is stored: as long as neither changes, the
    next outcome is that nothing changed. None where that does not follow.
    """

    task: Task
    status: Status
    receipt: Receipt | None
    error: IngestionError | None = None
    seconds: float = 0.0
    bytes_downloaded: int = 0
    rests_on: tuple[str, ...] | None = None


def plan(dataset: Dataset, market: Market, first_day: date, last_day: date, *, interval: str = "") -> list[Task]:
    """The tasks that cover the inclusive range, one per raw object; none where the venue publishes no such data, and
    none for the days after the delivery of a dated contract, though the venue may publish files of them."""
    return Series(dataset, market, interval, first_day, last_day).tasks()


def shared_keys(task: Task) -> list[str]:
    """The objects of the task that other tasks may need as well: those that are cut at other instants than a period."""
    objects = venue_archive(task).objects(task.dataset, task.market, task.interval, task.period)
    keys = []
    for source in objects:
        each: SourceObject | None = source if source.holds is not None else None
        while each is not None:
            keys.append(each.key)
            each = each.otherwise
    return keys


def expected_keys(task: Task) -> Iterator[str]:
    """The objects that the task may request: that of its period, and those of its first and last day."""
    archive = venue_archive(task)
    for period in (task.period, Period.of_day(task.first_day), Period.of_day(task.last_day)):
        yield from (source.key for source in archive.objects(task.dataset, task.market, task.interval, period))


def widened(task: Task, held: Receipt | None) -> Task:
    """The task together with the days that the object already covers: a smaller request never loses a day."""
    if held is None:
        return task
    first, last = min(task.first_day, held.first_day), max(task.last_day, held.last_day)
    delivery = delivery_day(task.market)
    return replace(task, first_day=first, last_day=min(last, delivery) if delivery and delivery >= first else last)


def delivery_day(market: Market) -> date | None:
    return market.delivers_at.date() if market.delivers_at else None


def wants_all_days(task: Task) -> bool:
    """Every day of the period is wanted that can have rows."""
    last = min(task.period.last_day, delivery_day(task.market) or task.period.last_day)
    return (task.first_day, task.last_day) == (task.period.first_day, last)


def venue_archive(task: Task) -> VenueArchive:
    """The layout of the task's venue: only venues with an archive have tasks."""
    archive = archive_of(task.market)
    if archive is None:
        raise IngestionError(f"{task}: {task.market.venue} has no archive of files; use its api instead")
    return archive


def day_in(key: str) -> str:
    """The day that a day's object names, `YYYY-MM-DD`; empty where it names none."""
    found = _DAY.findall(key)
    return found[-1] if found else ""


def days_of(task: Task) -> Iterator[date]:
    return days_between(task.first_day, task.last_day)


def day_of(period: Period) -> date | None:
    return period.first_day if period.span is Span.DAY else None
