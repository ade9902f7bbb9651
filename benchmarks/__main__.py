"""`python -m benchmarks`: every figure with its budget.

Belongs here: what is run at which size, peak memory of each process, the table. Does not: the work (`subjects`).
This process stays small on purpose: on Linux a child's peak memory begins at its parent's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Finished:
    """A process that ended well. `peak_mb`: of the largest single process among it and its children."""

    seconds: float
    peak_mb: float
    output: str

    @property
    def result(self) -> dict[str, Any]:
        """What a subject printed."""
        found: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return found


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | str = ROOT) -> Finished:
    """Run in `folder` to the end; SystemExit with the last words of a process that fails."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-2000:]}")
    # Linux counts in KiB, macOS in bytes.
    return Finished(seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), text)


def subject(name: str, **arguments: object) -> Finished:
    return run([sys.executable, "-m", "benchmarks.subjects", name, *(f"{k}={v}" for k, v in arguments.items())])


@dataclass(frozen=True)
class Row:
    what: str
    figure: str
    budget: str = ""
    is_met: bool | None = None
    peak_mb: float | None = None

    def cells(self) -> tuple[str, str, str, str, str]:
        met = "" if self.is_met is None else "met" if self.is_met else "MISSED"
        return self.what, self.figure, self.budget, met, f"{self.peak_mb:,.0f} MB" if self.peak_mb else ""


def show(row: Row) -> None:
    """One line at once: the whole table takes minutes."""
    what, figure, budget, met, peak = row.cells()
    print(f"{what:<58} {figure:>16}  {budget:<16} {met:<7} {peak:>10}", flush=True)


def speed(what: str, finished: Finished, budget: float | None = None) -> Row:
    per_second = finished.result["rows"] / finished.result["seconds"] / 1e6
    return Row(
        what,
        f"{per_second:.2f} M rows/s",
        f"≥ {budget:g} M rows/s" if budget else "",
        per_second >= budget if budget else None,
        finished.peak_mb,
    )


def wall(what: str, finished: Finished, budget: float) -> Row:
    return Row(what, f"{finished.seconds:.1f} s", f"< {budget:g} s", finished.seconds < budget, finished.peak_mb)


def measure_ingestion(archive: Path, days: int, rows_per_day: int) -> None:
    """Speed over four days beside the peers, then memory over the whole range."""
    written = subject("archive", folder=archive, days=days, rows_per_day=rows_per_day)
    clean = written.result["clean_days"]
    # The first clean days lie side by side: planned defects are on the last days.
    few = {"folder": archive, "first_day": clean[0], "last_day": clean[min(3, len(clean) - 1)]}
    whole = {"folder": archive, "first_day": written.result["first_day"], "last_day": written.result["last_day"]}
    show(speed("aggTrades: verify + decode + write", subject("ingest", **few), 2))
    show(speed("  beside it: pandas read_csv + groupby, no write", subject("pandas", **few)))
    show(speed("  beside it: unzip + DuckDB read_csv + group by, no write", subject("duckdb", **few)))
    long_range = subject("ingest", **whole)
    show(
        Row(
            f"peak memory of {days} days, {long_range.result['rows'] / 1e6:.0f} M rows",
            f"{long_range.peak_mb:,.0f} MB",
            "< 1,500 MB",
            long_range.peak_mb < 1500,
            long_range.peak_mb,
        )
    )


def measure_collector() -> None:
    """The requirement: 50,000 messages a second for ten seconds, none lost, in bounded memory."""
    count, per_second = 500_000, 50_000
    finished = subject("burst", count=count, per_second=per_second)
    lost = count - finished.result["rows"]
    seconds, cpu_seconds = finished.result["seconds"], finished.result["cpu_seconds"]
    show(Row(f"burst of {count:,} messages in 10 s: lost", f"{lost:,}", "0", lost == 0))
    show(Row("  all of it read and spooled after", f"{seconds:.1f} s", "< 12 s", seconds < 12))
    show(Row("  CPU time it took", f"{cpu_seconds:.1f} s", "< 10 s", cpu_seconds < 10))
    peak_mb = finished.result["collecting_mb"]
    show(Row("  peak memory while it collected", f"{peak_mb:,.0f} MB", "< 100 MB", peak_mb < 100))
    sealing = finished.result["sealed"] / finished.result["sealing"]
    show(
        Row(
            "  sealed into the raw zone",
            f"{sealing:,.0f} rows/s",
            "≥ 10,000 rows/s",
            sealing >= 10_000,
            finished.peak_mb,
        )
    )


def measure_import() -> None:
    """The best of three: the first one may have to read the disk."""
    with tempfile.TemporaryDirectory(prefix="taker-bench-") as storage:
        command = [sys.executable, "-c", "import orchestration.definitions"]
        attempts = [run(command, {"TAKER_STORAGE_URL": storage}) for _ in range(3)]
    show(wall("import orchestration.definitions", min(attempts, key=lambda each: each.seconds), 6))


def measure_demo() -> None:
    """The demo lives in ./var/demo, so an empty folder to start it in is a demo from nothing."""
    with tempfile.TemporaryDirectory(prefix="taker-bench-") as folder:
        taker = str(Path(sys.executable).with_name("taker"))
        show(wall("taker demo, from nothing", run([taker, "demo", "--quiet"], folder=folder), 90))


def measure_tests() -> None:
    show(
        wall(
            "the whole test suite",
            run([sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadgroup"]),
            480,
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures against their budgets.")
    parser.add_argument("--archive", type=Path, default=ROOT / "var" / "benchmarks" / "archive", help="kept and reused")
    parser.add_argument("--days", type=int, default=30, help="days of trades in the long range (7 or more)")
    parser.add_argument("--rows-per-day", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["ingestion", "collector", "import", "demo", "tests"], action="append")
    chosen = parser.parse_args(arguments)
    # The tests have their own verb; they are timed on request.
    parts = chosen.only or ["ingestion", "collector", "import", "demo"]

    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; peak memory is that of the largest process")
    if "ingestion" in parts:
        print(f"(the simulated archive of {chosen.days} days lies in {os.path.relpath(chosen.archive)})", flush=True)
        measure_ingestion(chosen.archive.resolve(), chosen.days, chosen.rows_per_day)
    if "collector" in parts:
        measure_collector()
    if "import" in parts:
        measure_import()
    if "demo" in parts:
        measure_demo()
    if "tests" in parts:
        measure_tests()


if __name__ == "__main__":
    main()
