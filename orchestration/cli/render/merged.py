"""What merging months did, in lines and as facts.

Belongs here: its text and progress. Does not: merging (`ingestion.raw.merging`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from ingestion.raw.merging import MonthOutcome


class MergeProgress:
    """How many months are merged, called as each is done; and what is noticed meanwhile."""

    def __init__(self, console: Console, *, is_shown: bool) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not is_shown, transient=True)
        self._task = self._progress.add_task("looking for settled months", total=None)
        self._months = 0

    def month(self, outcome: MonthOutcome) -> None:
        self._months += 1
        about = f"{outcome.market_id} {outcome.dataset} {outcome.month}"
        self._progress.update(self._task, description=escape(f"{self._months:,} months; {about} {outcome.status}"))

    def notice(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def __enter__(self) -> MergeProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def show_merged(console: Console, outcomes: Sequence[MonthOutcome], *, is_dry: bool) -> None:
    """A line for each month that was merged or stays as it was, and how many files there were and are."""
    done = [outcome for outcome in outcomes if outcome.status in ("merged", "due")]
    for outcome in done:
        verb = "would be merged" if is_dry else "merged"
        beside = f"; {outcome.beside} of its days changed since and stay beside it" if outcome.beside else ""
        console.print(
            escape(f"{_series(outcome)}: {verb}, {outcome.files_before:,} to {outcome.files_after:,} files{beside}")
        )
    for outcome in outcomes:
        if outcome.status == "left":
            console.print(f"[yellow]not merged[/] {escape(f'{_series(outcome)}: {outcome.why}')}")
    if not outcomes:
        console.print("there are no daily files to merge; `taker status` shows what is stored")
        return
    states = Counter(outcome.status for outcome in outcomes)
    facts = merge_facts(outcomes)
    console.print(
        f"{len(done):,} months {'to merge' if is_dry else 'merged'}, {states['unchanged']:,} already merged, "
        f"{states['open']:,} not settled yet, {states['left']:,} not merged; "
        f"{facts['files_before']:,} to {facts['files_after']:,} files of data and receipts"
    )
    if facts["waiting"]:
        console.print(
            f"{facts['waiting']:,} files of merged days stay until builds that began before have ended; run the same "
            "command again after that to remove them"
        )


def merge_facts(outcomes: Sequence[MonthOutcome]) -> dict[str, Any]:
    """The same as facts."""
    return {
        "files_before": sum(outcome.files_before for outcome in outcomes),
        "files_after": sum(outcome.files_after for outcome in outcomes),
        "waiting": sum(outcome.waiting for outcome in outcomes),
        "months": outcomes,
    }


def _series(outcome: MonthOutcome) -> str:
    return f"{outcome.market_id} {outcome.dataset} {outcome.month}"
