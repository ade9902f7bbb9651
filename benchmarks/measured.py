"""A process run to its end, with what it cost, and a line of the table.

Belongs here: time, CPU, peak memory of the largest process and of all at once; how a figure is shown beside its budget.
Does not: what is run (`subjects`, `commands`), at which size and with which budget (`__main__`).

The process of the benchmark stays small on purpose: on Linux a child's peak memory begins at its parent's.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
_SAMPLED_EVERY: Final = 0.1
_PROC: Final = Path("/proc")
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Finished:
    """A process that ended well.

    `cpu_seconds`: of it and its children. `peak_mb`: of the largest single process among them. `sum_mb`: of all of them
    at once, from samples, shared pages counted in each; None where the system has no /proc. All three include the
    processes `beside` it.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    sum_mb: float | None
    output: str

    @property
    def result(self) -> dict[str, Any]:
        """What a subject printed."""
        found: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return found

    @property
    def speed(self) -> float:
        """Millions of rows a second, as a subject reports them."""
        return float(self.result["rows"]) / float(self.result["seconds"]) / 1e6


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | str = ROOT,
    beside: Sequence[int] = (),
) -> Finished:
    """Run in `folder` to the end; SystemExit with the last words of a process that fails.

    `beside`: processes that work for it and that it did not start, such as the workers of a cluster, with all that they
    start.
    """
    with tempfile.TemporaryFile("w+") as output:
        before = _cpu_seconds(beside)
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        with _Sum(process.pid, *beside) as sum_:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        of_others = _cpu_seconds(beside) - before
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-2000:]}")
    # Linux counts in KiB, macOS in bytes.
    peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    peak_mb = max(peak_mb, sum_.largest_mb)
    return Finished(seconds, usage.ru_utime + usage.ru_stime + of_others, peak_mb, sum_.peak_mb, text)


class _Sum:
    """Samples the memory of processes and everything that they started, while the block runs."""

    def __init__(self, *pids: int) -> None:
        self.peak_mb: float | None = None
        self.largest_mb = 0.0
        self._pids, self._is_over = pids, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> _Sum:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _sample(self) -> None:
        while _PROC.is_dir() and not self._is_over.wait(_SAMPLED_EVERY):
            found = [_memory_kb(pid) / 2**10 for first in self._pids for pid in _family(first)]
            self.peak_mb = max(self.peak_mb or 0.0, sum(found))
            self.largest_mb = max(self.largest_mb, *found, 0.0)


def _family(pid: int) -> list[int]:
    """The process and its descendants, as far as they still live."""
    try:
        children = (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return []
    # A thread that is not the first one may have started a child too: Dagster starts dbt from one.
    for task in _listed(_PROC / str(pid) / "task"):
        if task != str(pid):
            children += _text(_PROC / str(pid) / "task" / task / "children").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _cpu_seconds(pids: Sequence[int]) -> float:
    """What these processes and all that they started have taken; what ended counts with the process that waited."""
    fields = (_text(_PROC / str(pid) / "stat").rpartition(")")[2].split() for first in pids for pid in _family(first))
    return sum(int(ticks) for each in fields for ticks in each[11:15]) / os.sysconf("SC_CLK_TCK")


def _memory_kb(pid: int) -> int:
    """What is resident of a process. Pages that several share count in each: counting them once (`smaps_rollup`) stops
    the process that is measured, for a third of its time."""
    fields = _text(_PROC / str(pid) / "statm").split()
    return int(fields[1]) * _PAGE_KB if len(fields) > 1 else 0


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    budget: str = ""
    is_met: bool | None = None
    finished: Finished | None = None

    def cells(self) -> tuple[str, str, str, str, str, str]:
        met = "" if self.is_met is None else "met" if self.is_met else "MISSED"
        done = self.finished
        cpu = f"{done.cpu_seconds:,.1f} s" if done else ""
        memory = f"{done.peak_mb:,.0f} / {done.sum_mb or done.peak_mb:,.0f} MB" if done else ""
        return self.what, self.figure, self.budget, met, cpu, memory


def heading() -> None:
    print(f"{'':<62} {'measured':>16}   {'budget':<16} {'':<6} {'CPU':>10}   peak: largest process / all at once")


def show(row: Row) -> None:
    """One line at once: the whole table takes minutes."""
    what, figure, budget, met, cpu, memory = row.cells()
    print(f"{what:<62} {figure:>16}   {budget:<16} {met:<6} {cpu:>10}   {memory}", flush=True)


def within(what: str, finished: Finished, seconds: float, most_mb: float | None = None) -> Row:
    """A whole command beside its budget of time and, if there is one, of memory of its largest process."""
    is_met = finished.seconds <= seconds and (most_mb is None or finished.peak_mb <= most_mb)
    budget = f"≤ {seconds:g} s" + (f", {most_mb / 1000:g} GB" if most_mb else "")
    return Row(what, f"{finished.seconds:.1f} s", budget, is_met, finished)


def median(finished: Sequence[Finished]) -> Finished:
    """The run whose speed is in the middle; of an even number, the slower one of the two."""
    return sorted(finished, key=lambda each: each.speed)[(len(finished) - 1) // 2]


def ratio(one: Sequence[Finished], other: Sequence[Finished]) -> float:
    """How many times as fast `one` is, pair by pair: what the machine did meanwhile, it did to both."""
    return statistics.median(a.speed / b.speed for a, b in zip(one, other, strict=True))


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The power of the size that the cost grows with: 0 is flat, 1 linear. By least squares of the logarithms."""
    slope = statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope
    return float(slope)
