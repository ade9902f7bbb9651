"""What the end of a run needs and nothing has to wait for, made while this process waits or draws.

Belongs here: which work that is, and when it begins. Does not: the work itself, who reports that a step begins
(`orchestration.runs.report.Recorder`), or what a process of its own loads (`orchestration.warehouse.audit.begun`).

While dbt builds in a process of its own, this one has nothing to do but to pass its events on: the report's charts take
a second to load. While the page is drawn, by Python and so by one core, another one reads the published file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from ingestion.raw.receipts import sha256_of
from orchestration.config.settings import Settings
from orchestration.report.write import report_path
from orchestration.resources import StorageResource
from orchestration.runs.ranges import IngestRange
from orchestration.serving.defects import STATED, Losses, losses

T = TypeVar("T")


class Meanwhile:
    """`losses` and `serving_sha256` of a run, each made once: at the time that is best for it, or when it is needed.

    Work that failed raises its error where its result is taken. What could not be loaded is loaded by the step that
    needs it, which reports why it cannot.
    """

    def __init__(self, settings: Settings, ranges: Sequence[IngestRange]) -> None:
        self.losses = _Once(partial(losses_of, settings, ranges))
        self.serving_sha256 = _Once(partial(sha256_of, settings.paths.serving))
        self._charts = _Once(partial(_load, report_path(settings.paths.serving)))

    def dbt_builds(self) -> None:
        """The raw zone is indexed, and dbt has built a first node: until it is at work, it waits for this process."""
        self.losses.begin()
        self._charts.begin()

    def readers_are_switched(self) -> None:
        """The published file stays as it is until the next run."""
        self.serving_sha256.begin()


def losses_of(settings: Settings, ranges: Sequence[IngestRange]) -> Losses:
    """What the raw zone, as indexed by the build, lacks of the requested days."""
    zone, scope = StorageResource(settings.storage).raw_zone(), settings.scope
    requested = {name: (wanted.first_day, wanted.last_day) for wanted in ranges for name in wanted.datasets}
    return losses(zone.index(STATED), zone.defects(), scope.markets, requested, scope.trades_dataset)


class _Once(Generic[T]):
    """The result of `work`, which is carried out once, in a thread if it is begun before it is needed."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._begun: Future[T] | None = None

    def begin(self) -> None:
        """In a daemon: a run that is interrupted does not wait for it."""
        if self._begun is None:
            self._begun = Future()
            threading.Thread(target=_carry_out, args=(self._work, self._begun), daemon=True).start()

    def __call__(self) -> T:
        return self._work() if self._begun is None else self._begun.result()


def _carry_out(work: Callable[[], T], outcome: Future[T]) -> None:
    try:
        outcome.set_result(work())
    except Exception as error:
        outcome.set_exception(error)


def _load(page: Path) -> None:
    """The charts of the report and what draws them."""
    from orchestration.report.previews import load_charts

    with suppress(Exception):
        load_charts(page.parent)
