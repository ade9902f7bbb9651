"""`python -m benchmarks`: every figure with its budget.

Belongs here: what is run at which size, beside which peer, against which budget. Does not: the work (`subjects`,
`commands`), time and memory of a process (`measured`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from benchmarks import commands
from benchmarks.measured import ROOT, Finished, Row, exponent, heading, median, ratio, run, show, within

PARTS: Final = ("ingestion", "collector", "import", "demo", "days", "markets", "tests")
# The whole suite, and the markets above ten, take longer than all the rest: on request.
USUAL: Final = PARTS[:6]
PEERS: Final = {
    "pandas": "pandas read_csv + groupby, floats",
    "polars": "polars read_csv + group_by, floats",
    "duckdb": "unzip + DuckDB read_csv + group by",
}


def subject(name: str, **arguments: object) -> Finished:
    return run([sys.executable, "-m", "benchmarks.subjects", name, *(f"{k}={v}" for k, v in arguments.items())])


def speed(what: str, finished: Finished, budget: float) -> Row:
    is_met = finished.speed >= budget
    return Row(what, f"{finished.speed:.2f} M rows/s", f"≥ {budget:g} M rows/s", is_met, finished)


def measure_ingestion(archive: Path, days: int, rows_per_day: int, times: int) -> None:
    """Speed over four days beside the peers, one after the other and again; then memory over the whole range."""
    written = subject("archive", folder=archive, days=days, rows_per_day=rows_per_day)
    clean = written.result["clean_days"]
    # The first clean days lie side by side: planned defects are on the last days.
    few = {"folder": archive, "first_day": clean[0], "last_day": clean[min(3, len(clean) - 1)]}
    rounds = [{name: subject(name, **few) for name in ("ingest", *PEERS)} for _ in range(times)]
    own = [each["ingest"] for each in rounds]
    show(speed("aggTrades: verify + decode + write", median(own), 4))
    for name, what in PEERS.items():
        peer = [each[name] for each in rounds]
        figure = f"{median(peer).speed:.2f} M rows/s"
        show(Row(f"  {what}; no check, no write", figure, f"{ratio(own, peer):.2f} × it", None, median(peer)))
    whole = {"folder": archive, "first_day": written.result["first_day"], "last_day": written.result["last_day"]}
    long_range = subject("ingest", **whole)
    what = f"  memory of {days} days, {long_range.result['rows'] / 1e6:.0f} M rows"
    show(Row(what, f"{long_range.peak_mb:,.0f} MB", "≤ 1,500 MB", long_range.peak_mb <= 1500, long_range))


def measure_collector() -> None:
    """The requirement: 50,000 messages a second for ten seconds, none lost, in bounded memory."""
    count, per_second = 500_000, 50_000
    finished = subject("burst", count=count, per_second=per_second)
    lost = count - finished.result["rows"]
    seconds, cpu_seconds = finished.result["seconds"], finished.result["cpu_seconds"]
    show(Row(f"burst of {count:,} messages in 10 s: lost", f"{lost:,}", "0", lost == 0))
    show(Row("  all of it read and spooled after", f"{seconds:.1f} s", "≤ 12 s", seconds <= 12))
    show(Row("  CPU time it took", f"{cpu_seconds:.1f} s", "≤ 10 s", cpu_seconds <= 10))
    peak_mb = finished.result["collecting_mb"]
    show(Row("  peak memory while it collected", f"{peak_mb:,.0f} MB", "≤ 100 MB", peak_mb <= 100))
    sealing = finished.result["sealed"] / finished.result["sealing"]
    show(Row("  sealed into the raw zone", f"{sealing:,.0f} rows/s", "≥ 10,000 rows/s", sealing >= 10_000, finished))


def measure_import() -> None:
    """The best of three: the first one may have to read the disk."""
    taker = commands.TAKER
    with tempfile.TemporaryDirectory(prefix="taker-bench-") as storage:
        for what, command, budget in (
            ("import orchestration.definitions", [sys.executable, "-c", "import orchestration.definitions"], 3),
            ("taker --help", [taker, "--help"], 1),
        ):
            attempts = [run(command, {"TAKER_STORAGE_URL": storage}) for _ in range(3)]
            show(within(what, min(attempts, key=lambda each: each.seconds), budget))


def measure_demo() -> None:
    """The demo lives in ./var/demo, so an empty folder to start it in is a demo from nothing."""
    with tempfile.TemporaryDirectory(prefix="taker-bench-") as folder:
        show(within("taker demo, from nothing", run([commands.TAKER, "demo", "--quiet"], folder=folder), 90))
        show(within("taker demo, again", run([commands.TAKER, "demo", "--quiet"], folder=folder), 5))
        for question in (["sql", "--demo", "select 1"], ["brief", "--demo"]):
            show(within(f"taker {question[0]}", run([commands.TAKER, *question], folder=folder), 1))


def measure_days(archive: Path, days: int, rows_per_day: int) -> None:
    """`taker run` over trades, from archive files to published marts, at a quarter and the whole of the days."""
    last = date.fromisoformat(
        subject("archive", folder=archive, days=days, rows_per_day=rows_per_day).result["last_day"]
    )
    sizes = sorted({max(7, days // 4), days})
    trials = [commands.of_trades(archive, last - timedelta(days=size - 1), last) for size in sizes]
    for size, trial in zip(sizes, trials, strict=True):
        what = f"{size} days, {size * rows_per_day / 1e6:.0f} M trades"
        show(within(f"taker run, {what}, from nothing", trial.first, 10 + 0.5 * size * rows_per_day / 1e6, 1500))
        show(within("  one following day", trial.following_day, 20, 1500))
        show(within("  nothing changed", trial.nothing_changed, 5))
    if len(sizes) > 1:
        for name in ("following_day", "nothing_changed"):
            show(growth(f"  CPU of {name.replace('_', ' ')} over days", sizes, [getattr(t, name) for t in trials]))


def measure_markets(archive: Path, counts: Sequence[int]) -> None:
    """`taker run` over BTCUSDT and copies of it, two years of hourly klines each."""
    trials = [commands.of_markets(archive, count) for count in counts]
    for count, trial in zip(counts, trials, strict=True):
        name = "1 market" if count == 1 else f"{count} markets (copies)"
        show(within(f"taker run, {name} × 2 years of 1h klines, from nothing", trial.first, 300, 4000))
        show(within("  one following day", trial.following_day, 45, 4000))
        show(within("  nothing changed", trial.nothing_changed, 5))
    if len(counts) > 1:
        for name in ("first", "following_day", "nothing_changed"):
            show(growth(f"  CPU of {name.replace('_', ' ')} over markets", counts, [getattr(t, name) for t in trials]))


def growth(what: str, sizes: Sequence[int], finished: Sequence[Finished]) -> Row:
    """With which power of the size the CPU time grows; a fixed cost beside it makes it smaller."""
    return Row(what, f"size^{exponent(sizes, [each.cpu_seconds for each in finished]):.2f}")


def measure_tests() -> None:
    show(
        within(
            "the whole test suite",
            run([sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadgroup"]),
            480,
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    folder = ROOT / "var" / "benchmarks"
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures against their budgets.")
    parser.add_argument("--archive", type=Path, default=folder / "archive", help="kept and reused")
    parser.add_argument("--days", type=int, default=30, help="days of trades in the long range (7 or more)")
    parser.add_argument("--rows-per-day", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5, help="rounds of ingestion and its peers; the median is shown")
    parser.add_argument("--markets", type=int, nargs="+", default=[1, 10], help="numbers of markets, such as 1 10 100")
    parser.add_argument("--only", choices=PARTS, action="append")
    chosen = parser.parse_args(arguments)
    parts = chosen.only or USUAL
    archive: Path = chosen.archive.resolve()
    trades = (archive, chosen.days, chosen.rows_per_day)

    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    if {"ingestion", "days"} & {*parts}:
        print(f"(the simulated archive of {chosen.days} days lies in {os.path.relpath(chosen.archive)})", flush=True)
    heading()
    measures = {
        "ingestion": lambda: measure_ingestion(*trades, chosen.times),
        "collector": measure_collector,
        "import": measure_import,
        "demo": measure_demo,
        "days": lambda: measure_days(*trades),
        "markets": lambda: measure_markets(archive.with_name("markets"), chosen.markets),
        "tests": measure_tests,
    }
    for part in PARTS:
        if part in parts:
            measures[part]()


if __name__ == "__main__":
    main()
