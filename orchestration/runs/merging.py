"""`taker merge-months`: whose turn it is to merge the objects of settled months.

Belongs here: the locks over builds and ingestion, and the right over a storage. Does not: merging
(`ingestion.raw.merging`), what is printed (`orchestration.cli`). Imports no dagster.

No build and no ingestion of this state folder is at work meanwhile. Others on the same storage may be: what they store
is kept, and the data of days stay for them as long as the caller states.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Final

from ingestion.raw.merging import MonthOutcome, merge_months
from orchestration.config.settings import Settings
from orchestration.resources import StorageResource
from orchestration.state.exclusive import Right, alone_on
from orchestration.state.locks import ARCHIVE, Workplace

_MERGING: Final = Right(
    what="the merging of months in {}",
    place="raw",
    leases="leases/merging",
    lock="merging.lock",
    consequence="what it has merged is whole, and the days of other months stay as they are",
)


def merge(
    settings: Settings,
    *,
    settled_for: timedelta,
    kept_for: timedelta | None,
    datasets: Collection[str],
    market_ids: Collection[str] | None,
    is_dry: bool,
    report: Callable[[MonthOutcome], None],
    notice: Callable[[str], None],
) -> list[MonthOutcome]:
    """Merge every settled month of these datasets and markets (None: all that are stored). `kept_for`: None for what
    the storage needs. Busy, TakenOver, StorageError."""
    zone = StorageResource(settings.storage).raw_zone()
    workplace = Workplace(settings.paths, settings.lock_wait_seconds)
    try:
        if not is_dry:
            workplace.hold_warehouse(notice)
        with (
            workplace.alone(ARCHIVE, notice) if not is_dry else nullcontext(),
            alone_on(zone.store, _MERGING, wait=settings.lock_wait_seconds, report=notice)
            if not is_dry
            else nullcontext(lambda: None) as still_alone,
            workplace.scratch() as scratch,
        ):
            return merge_months(
                zone,
                now=datetime.now(UTC),
                settled_for=settled_for,
                kept_for=kept_for if kept_for is not None else timedelta(hours=24 if settings.is_s3 else 0),
                datasets=datasets,
                market_ids=market_ids,
                is_dry=is_dry,
                scratch=scratch,
                report=report,
                notice=notice,
                still_alone=still_alone,
            )
    finally:
        workplace.close()
