"""Progress of a run: bars in a terminal, and one line per step that has ended in a file or a pipe.

Belongs here: the callbacks of `orchestration.progress` as text. Does not: the result of the run
(`orchestration.cli.render.run_report`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from orchestration.progress import Progress

if TYPE_CHECKING:
    from ingestion.archive import Outcome


class WaitingOnly(Progress):
    """For quiet runs: no progress, but a process that waits states for whom."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def waiting(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)


class _Ended(SpinnerColumn):
    """How a step ended: a tick, or a cross where it failed, whose count then is what was done of what was planned."""

    def render(self, task: Task) -> RenderableType:
        return Text("✗", style="red") if task.fields["failed"] else super().render(task)


class TerminalProgress(Progress):
    """One bar per dataset, one for dbt, one for the audit. Use as a context manager.

    Where the console is no terminal nothing can be drawn anew: the line of a step is written when the step ends.
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            _Ended(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=4,
        )
        self._current: TaskID | None = None
        self._bytes = 0
        self._failed = 0
        self._refused = 0

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        self._bars.stop()

    def comparing(self) -> None:
        self._begin("compare with the archive", None)

    def preparing(self) -> None:
        self._begin("load Dagster and dbt", None)

    def ingesting(self, dataset: str, objects: int) -> None:
        self._finish()  # notes what failed of the dataset before
        self._bytes = self._failed = self._refused = 0
        if objects:  # a venue that publishes no such data deserves no bar
            self._begin(f"ingest {dataset}", objects)

    def ingested(self, outcome: Outcome) -> None:
        self._bytes += outcome.bytes_downloaded
        self._failed += outcome.status == "failed"
        self._refused += outcome.status == "refused"
        self._step(", ".join([f"{self._bytes / 1e6:,.1f} MB", *self._faults()]))

    def waiting(self, text: str) -> None:
        self._bars.console.print(escape(text), soft_wrap=True)

    def building(self, nodes: int) -> None:
        self._begin("build", nodes)

    def built(self, node: str, status: str) -> None:
        self._step(node if status in ("success", "pass") else f"{node}: {status}")

    def auditing(self, suite: str) -> None:
        if self._current is None or self._bars.tasks[self._current].description != "audit":
            self._begin("audit", None)
        self._step(suite)

    def publishing(self, marts: int) -> None:
        self._begin("publish", None)

    def failed(self) -> None:
        if self._current is not None:
            self._bars.update(self._current, failed=True)
            self._end(self._current)

    def _begin(self, what: str, total: int | None) -> None:
        self._finish()
        self._current = self._bars.add_task(what, total=total, note="", failed=False)

    def _step(self, note: str) -> None:
        if self._current is not None:
            self._bars.update(self._current, advance=1, note=note)

    def _faults(self) -> list[str]:
        failed = [f"[red]{self._failed} failed[/]"] if self._failed else []
        return [*failed, *([f"[yellow]{self._refused} refused[/]"] if self._refused else [])]

    def _finish(self) -> None:
        if self._current is not None:
            done = max(1, self._bars.tasks[self._current].completed)
            self._bars.update(self._current, total=done, completed=done, note=", ".join(self._faults()))
            self._failed = self._refused = 0
            self._end(self._current)

    def _end(self, step: TaskID) -> None:
        self._bars.stop_task(step)
        self._current = None
        if self._bars.disable:
            self._bars.console.print(_line(self._bars.tasks[step]), soft_wrap=True)


def _line(step: Task) -> Text:
    """A step that has ended, as its bar is: how it ended, what of it was done, how long it took."""
    text = Text("✗ " if step.fields["failed"] else "✓ ").append(step.description)
    if step.total is not None and step.total > 1:
        text.append(f"  {step.completed:.0f}/{step.total:.0f}")
    text.append(f"  {timedelta(seconds=int(step.finished_time or step.elapsed or 0))}")
    if step.fields["note"]:
        text.append("  ").append(Text.from_markup(step.fields["note"]))
    return text
