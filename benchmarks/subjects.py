"""What is measured: each subject does one piece of work and reports rows and seconds.

Belongs here: the project's own path, and the scripts people write instead, over the same zip files. Imports stand
inside the subjects: each runs in a fresh process, whose peak memory is its own and whose clock starts after imports.
Does not: choosing sizes, budgets, printing tables (`__main__`).

Run as `python -m benchmarks.subjects SUBJECT key=value …`; prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestion.raw.zone import RawZone

MARKET = "simulated:BTCUSDT"

Result = dict[str, object]


def archive(folder: str, days: str, rows_per_day: str) -> Result:
    """Write the simulated archive, or find it there; reports which of its days hold trades without a planned defect."""
    from ingestion.simulator.simulated import simulate

    started = time.perf_counter()
    # A fixed day: an archive of the same arguments is kept, so a second benchmark need not write it again.
    summary = simulate(
        Path(folder),
        last_day=date(2026, 10, 31),
        days=max(60, int(days)),
        trades_days=int(days),
        rows_per_day=int(rows_per_day),
    )
    faulty = {defect.day for defect in summary.defects if defect.market_id == MARKET}
    clean = [day for day in _days(summary.first_trades_day, date(2026, 10, 31)) if day not in faulty]
    return {
        "rows": 0,
        "seconds": time.perf_counter() - started,
        "first_day": f"{summary.first_trades_day}",
        "last_day": "2026-10-31",
        "clean_days": [f"{day}" for day in clean],
    }


def ingest(folder: str, first_day: str, last_day: str) -> Result:
    """The project: checksum, decode to exact decimals, conform, Parquet and receipt; over all cores."""
    from ingestion.raw.stores import open_store
    from ingestion.raw.zone import RawZone

    with tempfile.TemporaryDirectory(prefix="taker-bench-") as storage:
        return stored_trades(RawZone(open_store(storage)), folder, first_day, last_day)


def stored_trades(zone: RawZone, folder: str, first_day: str, last_day: str) -> Result:
    """Ingest the aggTrades of these days of the archive, none of which has a planned defect."""
    from ingestion import archive as use_case
    from ingestion.domain.datasets import DATASETS
    from ingestion.http.archives import ArchiveLocation, Archives
    from ingestion.venues import parse_market

    archives = Archives(lambda venue: ArchiveLocation(Path(folder).resolve().as_uri()))
    tasks = use_case.plan(
        DATASETS["aggTrades"], parse_market(MARKET), date.fromisoformat(first_day), date.fromisoformat(last_day)
    )
    started = time.perf_counter()
    outcomes = use_case.ingest(tasks, archives=archives, zone=zone, now=datetime.now(UTC))
    seconds = time.perf_counter() - started
    archives.close()
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return {"rows": sum(o.receipt.rows for o in outcomes if o.receipt is not None), "seconds": seconds}


def pandas_script(folder: str, first_day: str, last_day: str) -> Result:
    """What most scripts do: read_csv of the zip, floats, multiply, group by hour. No checksum, nothing written."""
    import pandas as pd

    started, rows = time.perf_counter(), 0
    for path in _zips(folder, first_day, last_day):
        frame = pd.read_csv(path)
        frame["usd"] = frame["price"] * frame["quantity"]
        frame["hour"] = frame["transact_time"] // 3_600_000
        frame.groupby(["hour", "is_buyer_maker"])["usd"].sum()
        rows += len(frame)
    return {"rows": rows, "seconds": time.perf_counter() - started}


def polars_script(folder: str, first_day: str, last_day: str) -> Result:
    """The same with polars, over all cores: floats, no checksum, nothing written."""
    import polars as pl

    started, rows = time.perf_counter(), 0
    for path in _zips(folder, first_day, last_day):
        with zipfile.ZipFile(path) as zipped:
            frame = pl.read_csv(zipped.read(zipped.namelist()[0]))
        usd = (pl.col("price") * pl.col("quantity")).alias("usd")
        hour = (pl.col("transact_time") // 3_600_000).alias("hour")
        frame.with_columns(usd, hour).group_by("hour", "is_buyer_maker").agg(pl.col("usd").sum())
        rows += frame.height
    return {"rows": rows, "seconds": time.perf_counter() - started}


def duckdb_script(folder: str, first_day: str, last_day: str) -> Result:
    """Unzip, read_csv with decimals, group by hour, over all cores. No checksum; only the unzipped file is written."""
    import duckdb

    query = """
        select transact_time // 3600000 as hour, is_buyer_maker, sum(price::decimal(38, 8) * quantity), count(*)
        from read_csv(?, types = {'price': 'decimal(18, 8)', 'quantity': 'decimal(18, 8)'})
        group by all
    """
    started, rows = time.perf_counter(), 0
    with tempfile.TemporaryDirectory(prefix="taker-bench-") as scratch, duckdb.connect() as connection:
        for path in _zips(folder, first_day, last_day):
            with zipfile.ZipFile(path) as zipped:
                member = zipped.extract(zipped.namelist()[0], scratch)
            rows += sum(trades for *_, trades in connection.execute(query, [member]).fetchall())
            Path(member).unlink()
    return {"rows": rows, "seconds": time.perf_counter() - started}


def burst(count: str, per_second: str) -> Result:
    """The collector under a burst of trades on one connection, and whether every one of them is in the spool."""
    import asyncio
    import resource
    import subprocess

    from ingestion.live.collector import Collector, VenuePlan
    from ingestion.live.spool import ReceivedMessage, SpoolReader, segments
    from ingestion.venues import venue_of
    from ingestion.venues.venue import Subscription

    feed = venue_of("binance_um").feed
    assert feed is not None
    wanted = int(count)

    async def listen(spool: Path, url: str) -> tuple[float, float]:
        plans = [VenuePlan("binance_um", feed, (Subscription("burst", url, "liveTrades", ("BTCUSDT",)),))]
        collector = Collector(spool, plans, report=lambda line: None)
        stop = asyncio.Event()
        running = asyncio.create_task(collector.run(stop))
        while not collector.connections[0].messages:
            await asyncio.sleep(0.001)
        started, cpu_started = time.perf_counter(), time.process_time()
        while collector.connections[0].messages < wanted and not running.done():
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - started
        stop.set()
        await running
        return seconds, time.process_time() - cpu_started

    venue = [sys.executable, "-m", "benchmarks.burst", count, per_second]
    with (
        tempfile.TemporaryDirectory(prefix="taker-bench-") as folder,
        subprocess.Popen(venue, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        spool = Path(folder)
        seconds, cpu_seconds = asyncio.run(listen(spool, f"ws://127.0.0.1:{int(server.stdout.readline())}"))
        records = (record for segment in segments(spool) for record in SpoolReader(segment.path))
        messages = (record.message for record in records if isinstance(record, ReceivedMessage))
        in_order = sum(int(message.partition(b'"a":')[2].partition(b",")[0]) == n for n, message in enumerate(messages))
        collecting_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )

        from ingestion.live.seal import seal
        from ingestion.raw.stores import open_store
        from ingestion.raw.zone import RawZone

        started = time.perf_counter()
        sealed = seal(spool, RawZone(open_store(spool / "storage")), now=datetime.now(UTC) + timedelta(hours=2))
        sealing = time.perf_counter() - started
    return {
        "rows": in_order,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "sealed": sum(each.rows for each in sealed),
        "sealing": sealing,
        "collecting_mb": collecting_mb,
    }


def _zips(folder: str, first_day: str, last_day: str) -> list[Path]:
    symbol = MARKET.partition(":")[2]
    archive_folder = Path(folder, "data", "futures", "um", "daily", "aggTrades", symbol)
    days = _days(date.fromisoformat(first_day), date.fromisoformat(last_day))
    return [archive_folder / f"{symbol}-aggTrades-{day}.zip" for day in days]


def _days(first_day: date, last_day: date) -> list[date]:
    from ingestion.domain.periods import days_between

    return list(days_between(first_day, last_day))


SUBJECTS: dict[str, Callable[..., Result]] = {
    "archive": archive,
    "ingest": ingest,
    "pandas": pandas_script,
    "polars": polars_script,
    "duckdb": duckdb_script,
    "burst": burst,
}


if __name__ == "__main__":
    print(json.dumps(SUBJECTS[sys.argv[1]](**dict(argument.split("=", 1) for argument in sys.argv[2:]))))
