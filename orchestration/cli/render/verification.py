"""A verification in lines: what is wrong, file by file, and how much was verified.

Belongs here: its text and progress. Does not: verifying (`orchestration.runs.verify`).
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from ingestion.raw.verify import RawVerdict
    from orchestration.serving.verified import MartVerdict


class HashProgress:
    """How many objects are hashed, of how many; called as each is done."""

    def __init__(self, console: Console, *, is_shown: bool) -> None:
        columns = (TextColumn("hashing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not is_shown, transient=True)
        self._task = self._progress.add_task("hashing", total=None)

    def __call__(self, done: int, objects: int) -> None:
        self._progress.update(self._task, completed=done, total=objects)

    def __enter__(self) -> HashProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def show_verification(
    console: Console, raw: RawVerdict, marts: MartVerdict | None, *, faults_only: bool = False
) -> None:
    """Every fault on a line, then what was verified."""
    for fault in raw.faults:
        series = f"{fault.market_id} {fault.dataset} {fault.interval}".rstrip()
        console.print(f"[red]damaged[/] {escape(f'{series} {fault.period}: {fault.key} {fault.what}; {fault.remedy}')}")
    for differing in marts.faults if marts is not None else ():
        console.print(f"[red]differs[/] {escape(f'{differing.where}: {differing.what}; {differing.remedy}')}")
    if faults_only:
        return
    if not raw.objects and marts is None:
        console.print(
            "nothing is stored here yet, so there was nothing to verify; `taker run` ingests and publishes real data, "
            "`taker demo` simulated ones (then `taker verify --demo`)"
        )
        return
    console.print(f"raw zone: {raw.objects:,} objects, {raw.bytes:,} bytes, {len(raw.faults):,} faults")
    if marts is None:
        console.print("marts: not compared")
    else:
        console.print(
            f"marts: {marts.tables:,} tables and their files; daily flow of {marts.days:,} days computed anew from the "
            f"raw zone, {marts.not_compared:,} days not comparable; {len(marts.faults):,} faults"
        )
