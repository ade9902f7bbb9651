"""`python -m benchmarks.spark`: DuckDB and Spark side by side, on one raw zone and one machine.

Belongs here: whole runs by stage, bars from trades, trailing ranks at scale; each in a process of its own, on a cluster
of its own. Does not: whether both give the same (`tests/torture/test_spark_equality.py`); of the ranks, sums of both
are compared, since no test has as many.

A run's stages are what its progress reports: the build with the copy of its tables, the audit, the publication. Bars
are made at two sizes: what a row costs is what the larger one costs more, without what dbt and Spark cost anyway.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.commands import state_folder
from benchmarks.measured import ROOT, Finished, run

ENGINES: Final = ("duckdb", "spark")
_BARS: Final = ("int_trade_minutes", "int_flow_bars")
_STAGES: Final = ("building", "auditing", "publishing")
# Two years of hours, and one day: window and declustering distance of the definition `hourly_usd`.
_WINDOW_HOURS: Final = 17_520
_NEAR_HOURS: Final = 24
# The default of TAKER_MEMORY_LIMIT on two cores.
_MEMORY_LIMIT: Final = "3GiB"


# What is measured, in this process: prints one JSON object.


def staged_run(first: str, last: str) -> dict[str, float]:
    """`taker run`, with the seconds of its stages."""
    from orchestration.config.settings import load_settings
    from orchestration.progress import Progress
    from orchestration.runs import execution

    began: dict[str, float] = {}

    class Noted(Progress):
        def building(self, nodes: int) -> None:
            began.setdefault("building", time.perf_counter())

        def auditing(self, suite: str) -> None:
            began.setdefault("auditing", time.perf_counter())

        def publishing(self, marts: int) -> None:
            began.setdefault("publishing", time.perf_counter())

    report = execution.run(load_settings(), date.fromisoformat(first), date.fromisoformat(last), progress=Noted())
    if not report.published:
        raise SystemExit("; ".join([*report.problems, *(str(check) for check in report.checks)]) or "not published")
    ends = [*(began[stage] for stage in _STAGES[1:]), time.perf_counter()]
    return {stage: end - began[stage] for stage, end in zip(_STAGES, ends, strict=True)}


def stored(archive: str, *days: str) -> dict[str, int]:
    """The trades of these days of the archive in the raw zone of the settings, with its index, and nothing built."""
    from benchmarks.subjects import stored_trades
    from ingestion.raw.stores import open_store
    from ingestion.raw.zone import RawZone
    from orchestration.config.settings import load_settings

    zone = RawZone(open_store(load_settings().storage.url))
    rows = sum(int(f"{stored_trades(zone, archive, day, day)['rows']}") for day in days)
    zone.write_index()
    return {"rows": rows}


def bars() -> dict[str, float]:
    """The minutes and hourly bars of all trades, and what they need: seconds of the two models, as dbt reports them."""
    from orchestration.config.settings import load_settings
    from orchestration.warehouse.dbt import run_dbt
    from orchestration.warehouse.profile import target_dir

    config = load_settings().dbt
    select = [f"+{model}" for model in _BARS]
    if code := run_dbt(
        ["build", "--quiet", "--exclude-resource-type", "unit_test", "test", "--select", *select], config
    ):
        raise SystemExit(code)
    results = json.loads((target_dir(config) / "run_results.json").read_bytes())["results"]
    return {"seconds": sum(each["execution_time"] for each in results if each["unique_id"].endswith(_BARS))}


def ranks(engine: str, parquet: str) -> dict[str, Any]:
    """Ranks, quartiles and neighbours of every bar of a file; sums over all of them, and the seconds of the query."""
    from tools.macros import Macros

    files = ("trailing_window.sql", "engine/aggregates.sql", "engine/doubles.sql", "engine/time.sql")
    taker = Macros(engine, *files, "engine/windows.sql")
    columns = ["market_id", "bar_at", "value", "pressure", "coverage_ratio", "is_running"]
    columns += ["window_hours", "decluster_hours"]
    text = f"""
        with bars as (
            select
                market_id, {taker.utc_timestamp("bar_at")} as bar_at, value, value as pressure, coverage_ratio,
                false as is_running, {_WINDOW_HOURS} as window_hours, {_NEAR_HOURS} as decluster_hours
            from held
        )

        select
            count(*), sum(cast(rank_from_lowest as decimal(38,0)) * hour_number), sum(rank_from_highest),
            sum(window_bars), sum(covered_bars), count({taker.quartile("prior_quartiles", 2)}),
            sum(lowest_nearby), sum(highest_nearby)
        from (
            select windowed_bars.*, extract(hour from bar_at) + 1 as hour_number
            from {taker.windowed("bars", columns, ["market_id"], has_neighbours=True)} as windowed_bars
        ) as hours
    """
    started = time.perf_counter()
    if engine == "duckdb":
        import duckdb

        with tempfile.TemporaryDirectory(dir=Path(parquet).parent) as scratch:
            config: dict[str, Any] = {"memory_limit": _MEMORY_LIMIT, "temp_directory": scratch}
            with duckdb.connect(config=config) as connection:
                connection.execute("set timezone = 'UTC'")
                connection.execute(f"create view held as select * from read_parquet('{parquet}')")
                row = connection.execute(text).fetchone()
    else:
        from orchestration.warehouse.spark.session import start

        session = start()
        session.read.parquet(parquet).createOrReplaceTempView("held")
        started = time.perf_counter()
        row = session.sql(text).collect()[0]
    return {"seconds": time.perf_counter() - started, "sums": [f"{value}" for value in row or ()]}


# What is run, and how it is shown.


@dataclass(frozen=True)
class Engine:
    """One of the two, with the environment of its commands and the processes that compute beside them."""

    name: str
    environment: Mapping[str, str]
    beside: Sequence[int]

    def measured(self, subject: str, *arguments: object, state: Path, **settings: str) -> Finished:
        command = [sys.executable, "-m", "benchmarks.spark", "subject", subject, *map(str, arguments)]
        environment = {"TAKER_STORAGE_URL": str(state), "TAKER_STATE_DIR": str(state), "TAKER_REST": "off"}
        return run(command, {**environment, **self.environment, **settings}, beside=self.beside)


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """With a cluster of its own for Spark: a warehouse on Spark is what its catalog holds."""
    if name == "duckdb":
        yield Engine(name, {}, ())
        return
    from tools.spark.cluster import down, up

    # As root, PostgreSQL runs as another user, who must be able to enter the folder.
    with tempfile.TemporaryDirectory(prefix="taker-bench-spark-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        try:
            cluster = up(folder, thrift=False)
            settings = {"TAKER_TARGET": "spark", "TAKER_SPARK_CONF": str(cluster.conf)}
            pids = [process.pid for process in cluster.processes]
            yield Engine(name, {**settings, "SPARK_CONF_DIR": str(cluster.conf)}, pids)
        finally:
            down(folder)


def show(what: str, cells: Sequence[str]) -> None:
    print(f"{what:<58}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def measure_runs(archive: Path, days: int, rows_per_day: int) -> None:
    """`taker run` up to the day before the last, then with the last."""
    last = date.fromisoformat(made_archive(archive, days, rows_per_day)["last_day"])
    first = last - timedelta(days=days - 1)
    settings = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
    shown: dict[str, list[str]] = {}
    for name in ENGINES:
        with engine(name) as chosen, state_folder() as state:
            for what, until in (("first run", last - timedelta(days=1)), ("following day", last)):
                done = chosen.measured("staged_run", first, until, state=state, **settings)
                for stage in _STAGES:
                    shown.setdefault(f"  {what}: {stage}", []).append(f"{done.result[stage]:.1f} s")
                shown.setdefault(f"  {what}: CPU of all of it", []).append(f"{done.cpu_seconds:,.0f} s")
                memory = f"{done.peak_mb:,.0f} / {done.sum_mb or 0:,.0f} MB"
                shown.setdefault(f"  {what}: peak memory, largest process / all", []).append(memory)
    show(f"runs: {days} days, {days * rows_per_day / 1e6:g} M trades, 1 market", ())
    for what, cells in shown.items():
        show(what, cells)


def measure_bars(folder: Path, days: int, rows_per_day: Sequence[int]) -> None:
    """Bars of the trades of one raw zone for each size, and what a million rows cost beyond the smallest."""
    costs: dict[str, list[tuple[int, float]]] = {name: [] for name in ENGINES}
    for size in sorted(rows_per_day):
        archive = folder / f"archive-{size}"
        settings = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"}
        clean = made_archive(archive, days, size)["clean_days"]
        with state_folder() as raw:
            rows = Engine("", {}, ()).measured("stored", archive, *clean, state=raw, **settings).result["rows"]
            cells, spent = [], []
            for name in ENGINES:
                with engine(name) as chosen, state_folder() as state:
                    done = chosen.measured("bars", state=state, **settings, TAKER_STORAGE_URL=str(raw))
                costs[name].append((rows, done.cpu_seconds))
                cells.append(f"{done.result['seconds']:.1f} s")
                spent.append(f"{done.cpu_seconds:,.0f} s, {done.sum_mb or 0:,.0f} MB")
        show(f"bars of {rows / 1e6:.1f} M trades: the two models", cells)
        show("  CPU of dbt with all they need, and memory of all at once", spent)
    if len(rows_per_day) > 1:
        beyond = [(each[-1][1] - each[0][1]) / (each[-1][0] - each[0][0]) for each in costs.values()]
        show("  CPU of a million trades beyond the smallest size", [f"{cpu * 1e6:.2f} s" for cpu in beyond])


def made_archive(archive: Path, days: int, rows_per_day: int) -> dict[str, Any]:
    """The simulated archive, written if it is not there: what `benchmarks.subjects` reports of it."""
    from benchmarks.__main__ import subject

    return subject("archive", folder=archive, days=days, rows_per_day=rows_per_day).result


def measure_ranks(folder: Path, markets: int, bars_each: int) -> None:
    """Windows of two years over bars whose values are hashes: the same for both, and nearly all of them different."""
    import duckdb

    path = folder / f"ranks-{markets}-{bars_each}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        duckdb.sql(f"""
            copy (
                select
                    'm' || m as market_id, timestamptz '2000-01-01 00:00:00+00' + to_hours(cast(h as int)) as bar_at,
                    cast((hash(m * 1000003 + h) % 2000000000000)::bigint / 1000.0 - 1e9 as decimal(38,8)) as value,
                    cast(1 as decimal(9,8)) as coverage_ratio
                from range({markets}) as markets (m), range({bars_each}) as hours (h)
            ) to '{path}'
        """)
    found, cells, costs = [], [], []
    for name in ENGINES:
        with engine(name) as chosen:
            done = chosen.measured("ranks", name, path, state=folder)
        found.append(done.result["sums"])
        cells.append(f"{done.result['seconds']:.1f} s")
        costs.append(f"{done.cpu_seconds:,.0f} s, {done.sum_mb or 0:,.0f} MB")
    show(f"ranks of {markets:,} × {bars_each:,} bars, window of {_WINDOW_HOURS:,}", cells)
    show("  CPU, and memory of all processes at once", costs)
    show("  sums over all ranks", ["equal" if found[0] == found[1] else f"DIFFERENT: {found}"])


def main(arguments: Sequence[str]) -> None:
    subjects = {each.__name__: each for each in (staged_run, stored, bars, ranks)}
    if arguments[:1] == ["subject"]:
        print(json.dumps(subjects[arguments[1]](*arguments[2:])))
        return
    folder = ROOT / "var" / "benchmarks"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description="DuckDB and Spark side by side.")
    parser.add_argument("--days", type=int, default=7, help="days of trades (7 or more)")
    parser.add_argument("--runs", type=int, nargs="*", default=[300_000], help="trades a day of whole runs, or none")
    parser.add_argument("--bars", type=int, nargs="*", default=[300_000, 3_000_000], help="trades a day, or none")
    parser.add_argument("--ranks", nargs="*", default=["300x17520", "1x200000"], help="MARKETSxBARS, or none")
    chosen = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, load of {os.getloadavg()[1]:.1f} before it begins")
    show("", ENGINES)
    for rows_per_day in chosen.runs:
        measure_runs((folder / f"archive-{rows_per_day}").resolve(), chosen.days, rows_per_day)
    if chosen.bars:
        measure_bars(folder.resolve(), chosen.days, chosen.bars)
    for size in chosen.ranks:
        measure_ranks(folder.resolve(), *map(int, size.split("x")))
    print(f"load of {os.getloadavg()[1]:.1f} at its end")


if __name__ == "__main__":
    main(sys.argv[1:])
