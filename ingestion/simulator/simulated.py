"""A data generator, not a venue: an archive in Binance's own layout, with the same keys, schemas, zips and checksums.

Belongs here: the archive as a whole (`simulate`, `publish_correction`), its marker, the published periods, and the
defects that are planted on purpose.
Does not: the market model, single files (the other modules of this package); reading an archive. A simulated file is
read in the same way as a real one (`ingestion.venues`).

The same arguments give the same bytes. A day is drawn from a generator keyed by (seed, market, day), so its trades do
not depend on how many other days are written; only `last_day` (which the planned days are counted from) and `seed`
change it, and `rows_per_day` decides into how many trades its volume is cut.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from ingestion.domain.datasets import (
    AGG_TRADES,
    FUNDING_RATE,
    KLINES,
    LIQUIDATION_SNAPSHOT,
    METRICS,
    TRADES,
    Dataset,
)
from ingestion.domain.errors import IngestionError
from ingestion.domain.periods import Period, Span, days_between, periods_between
from ingestion.raw.durable import atomic_write
from ingestion.simulator.archive_files import archive_key
from ingestion.simulator.derived import write_funding, write_klines, write_liquidations, write_metrics
from ingestion.simulator.feed import FEED_FOLDER, write_messages
from ingestion.simulator.listings import CRASHES, LINEAR, LISTINGS
from ingestion.simulator.model import EDITION, MAX_DAYS, Arguments, Market, draw_market, draw_path
from ingestion.simulator.trades import EDITIONS, DefectKind, Edition, write_trades
from ingestion.venues.simulated import SIMULATION_MARKER

__all__ = [
    "MARKER",
    "MAX_DAYS",
    "DefectKind",
    "PlannedDefect",
    "Progress",
    "SimulationError",
    "SimulationSummary",
    "ignore_progress",
    "publish_correction",
    "simulate",
]

Progress = Callable[[float, str], None]
MARKER: Final = SIMULATION_MARKER
MIN_TRADES_DAYS: Final = 7  # the planned defects lie on the last days
MIN_ROWS_PER_DAY: Final = 240  # a few rows of either side in the quietest hour
MAX_ROWS_PER_DAY: Final = 20_000_000  # one CSV member stays below the 2 GB where zip changes format


class SimulationError(IngestionError, ValueError):
    """The arguments make no archive, or the folder holds something else."""


@dataclass(frozen=True)
class PlannedDefect:
    """One defect planted on purpose, in the market's `aggTrades` and `trades` alike; the day's klines are complete."""

    kind: DefectKind
    market_id: str
    day: date
    detail: str


@dataclass(frozen=True)
class SimulationSummary:
    """What an archive holds. `objects` and `bytes` count the zips as first written, without their checksums."""

    root: Path
    markets: tuple[str, ...]
    first_day: date
    last_day: date
    first_trades_day: date
    spike_day: date
    crash_days: tuple[date, ...]
    defects: tuple[PlannedDefect, ...]
    objects: int
    bytes: int


_DEFECTS: Final = (
    (DefectKind.HEADERLESS, 6, "the CSV has no header row"),
    (DefectKind.DUPLICATED_BLOCK, 5, "every row of 09:00-09:30 stands twice"),
    (DefectKind.MISSING_HOUR, 4, "the rows of 14:00-15:00 are missing"),
    (DefectKind.ABSENT_DAY, 3, "the files do not exist"),
    (DefectKind.REPLACED_FILE, 2, "the first edition lacks 10:30-11:00; publish_correction() replaces it"),
)


def ignore_progress(fraction: float, text: str) -> None:
    """Report nothing."""


def simulate(
    out: Path,
    *,
    last_day: date,
    days: int = 760,
    trades_days: int = 30,
    rows_per_day: int = 4000,
    seed: int = 7,
    progress: Progress = ignore_progress,
) -> SimulationSummary:
    """Write the archive of the simulated markets to `out` and return a summary of it.

    Klines, metrics and funding span `days` days ending with `last_day`; trades and liquidations the last `trades_days`.
    Klines lie as monthly zips of finished months, and as daily ones in the first month, the last two finished ones and
    the unfinished one: a range that begins within another month finds no days of that month.
    `rows_per_day`: about how many aggTrades an ordinary day of the linear market has (a busy day has up to three times
    as many, the others 0.4 times; `trades` has about 1.6 rows for each).

    A complete archive of the same arguments is left as it is (corrections published since then included); any other
    simulated archive in `out` is replaced. Raises SimulationError for arguments that make no archive, and for a folder
    that holds anything which is not an earlier simulated archive.
    """
    arguments = Arguments(last_day, days, trades_days, rows_per_day, seed)
    _refuse_impossible(arguments)
    try:
        earlier = _Marker.read(out)
        if earlier is not None and earlier.arguments == arguments and earlier.describes(out):
            progress(1.0, f"{earlier.objects} simulated objects are already there")
            return _summary(out, earlier)
        _clear(out, arguments, earlier)
        marker = _write_archive(out, arguments, progress)
    except OSError as error:
        raise SimulationError(f"the simulated archive cannot be written to {out}: {error}") from error
    return _summary(out, marker)


def publish_correction(out: Path) -> tuple[str, ...]:
    """Replace the files whose first edition lacks trades by complete ones, as a venue does later; return the keys.

    Doing it twice changes nothing. Raises SimulationError when `out` holds no complete simulated archive.
    """
    marker = _Marker.read(out)
    if marker is None or not marker.describes(out):
        raise SimulationError(f"{out} holds no complete simulated archive; write one with simulate() first")
    market = draw_market(LINEAR, marker.arguments, draw_path(marker.arguments, LINEAR.asset))
    day = next(d.day for d in _planned_defects(marker.arguments) if d.kind is DefectKind.REPLACED_FILE)
    write_trades(out, market, day, Edition())
    return tuple(archive_key(LINEAR, dataset, Period.of_day(day)) for dataset in ("aggTrades", "trades"))


def _refuse_impossible(arguments: Arguments) -> None:
    a = arguments
    faults = []
    if a.last_day < date(1980, 1, 1):
        faults.append(f"last_day {a.last_day} is before 1980")
    if a.trades_days < MIN_TRADES_DAYS:
        faults.append(f"trades_days is {a.trades_days}; the planned defects need at least {MIN_TRADES_DAYS}")
    if a.days < a.trades_days:
        faults.append(f"days is {a.days}, fewer than the {a.trades_days} trades_days that lie within them")
    if a.days > MAX_DAYS:
        faults.append(f"days is {a.days}; the model spans at most {MAX_DAYS}")
    if not MIN_ROWS_PER_DAY <= a.rows_per_day <= MAX_ROWS_PER_DAY:
        faults.append(f"rows_per_day is {a.rows_per_day}, outside {MIN_ROWS_PER_DAY}..{MAX_ROWS_PER_DAY}")
    if a.seed < 0:
        faults.append(f"seed is {a.seed}; it must not be negative")
    if faults:
        raise SimulationError("no archive can be simulated: " + "; ".join(faults))


@dataclass(frozen=True)
class _Marker:
    """The file at the archive's root that identifies it. `complete` is written last."""

    arguments: Arguments
    complete: bool = False
    objects: int = 0
    bytes: int = 0

    @classmethod
    def read(cls, root: Path) -> _Marker | None:
        """None where there is no marker, or not one of this model."""
        path = root / MARKER
        if not path.is_file():
            return None
        try:
            stored = json.loads(path.read_text().partition("\n\n")[2])
            arguments = stored["arguments"]
            if arguments.pop("edition") != EDITION:
                return cls(Arguments(date.min, 0, 0, 0, 0))
            arguments["last_day"] = date.fromisoformat(arguments["last_day"])
            return cls(Arguments(**arguments), stored["complete"], stored["objects"], stored["bytes"])
        except (ValueError, KeyError, TypeError) as error:
            raise SimulationError(f"{path} is not a simulated archive's own marker; choose another folder") from error

    def describes(self, root: Path) -> bool:
        """True when the archive was finished and no object has been taken away since."""
        return self.complete and sum(1 for _ in root.rglob("*.zip")) == self.objects

    def write(self, root: Path) -> None:
        stored = {
            "arguments": self.arguments.as_json(),
            "complete": self.complete,
            "objects": self.objects,
            "bytes": self.bytes,
            "planned_defects": [f"{d.market_id} {d.day}: {d.detail}" for d in _planned_defects(self.arguments)],
        }
        label = "SIMULATED DATA. Not one price, trade or liquidation in this archive ever happened.\n"
        text = (label + "\n" + json.dumps(stored, indent=2) + "\n").encode()
        with atomic_write(root / MARKER) as staged:
            staged.write_bytes(text)


def _clear(out: Path, arguments: Arguments, earlier: _Marker | None) -> None:
    """Make `out` an empty archive. Only a folder with a marker is ever emptied, and only of what is simulated."""
    if out.exists() and not out.is_dir():
        raise SimulationError(f"{out} is a file; name a folder for the simulated archive")
    if out.is_dir() and earlier is None and any(out.iterdir()):
        raise SimulationError(f"{out} is not empty and has no {MARKER}, so it is no earlier simulated archive")
    out.mkdir(parents=True, exist_ok=True)
    _Marker(arguments).write(out)
    for folder in (*dict.fromkeys(f"{listing.root}data" for listing in LISTINGS), FEED_FOLDER):
        if (out / folder).exists():
            shutil.rmtree(out / folder)


def _write_archive(out: Path, arguments: Arguments, progress: Progress) -> _Marker:
    progress(0.0, "drawing the markets hour by hour")
    paths = {asset: draw_path(arguments, asset) for asset in dict.fromkeys(listing.asset for listing in LISTINGS)}
    markets = [draw_market(listing, arguments, paths[listing.asset]) for listing in LISTINGS]
    trades = [task for market in markets for task in _trades_tasks(out, market)]
    others = [task for market in markets for task in _other_tasks(out, market)]
    total = len(trades) + len(others)
    sizes: list[int] = []
    done = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        # Trades put what they sum to in their market's bars. All else reads the bars, so it waits for the last trade.
        for tasks in (trades, others):
            for task, written in zip(tasks, pool.map(_Task.run, tasks), strict=True):
                sizes += written
                done += 1
                progress(0.99 * done / total, task.what)
    write_messages(out, markets, arguments.last_day)
    marker = _Marker(arguments, complete=True, objects=len(sizes), bytes=sum(sizes))
    marker.write(out)
    progress(1.0, f"{marker.objects} simulated objects written")
    return marker


@dataclass(frozen=True)
class _Task:
    """A part of the archive that can be written on its own; `work` returns the sizes of the objects it wrote."""

    what: str
    work: Callable[[], list[int]]

    def run(self) -> list[int]:
        return self.work()


def _trades_tasks(out: Path, market: Market) -> list[_Task]:
    arguments, name = market.arguments, market.listing.market_id
    if not {AGG_TRADES.name, TRADES.name} <= market.listing.archived:
        return []
    editions = {d.day: EDITIONS[d.kind] for d in _planned_defects(arguments) if d.market_id == name}
    return [
        _Task(f"{name} trades {day}", partial(write_trades, out, market, day, editions.get(day, Edition())))
        for day in days_between(arguments.first_trades_day, arguments.last_day)
    ]


def _other_tasks(out: Path, market: Market) -> list[_Task]:
    arguments, name = market.arguments, market.listing.market_id
    months = periods_between(arguments.first_day, arguments.last_day, Span.MONTH)
    works: list[tuple[Dataset, object, Callable[[], list[int]]]] = []
    for index, month in enumerate(months):
        works.append((METRICS, month, partial(write_metrics, out, market, month)))
        finished = month.last_day <= arguments.last_day
        if finished:
            works.append((FUNDING_RATE, month, partial(write_funding, out, market, month)))
        # Days stand alone where a month's file cannot serve: an unfinished month, the month the market was listed in,
        # and the last two whole months, which shorter ranges begin within.
        alone = not finished or index == 0 or index >= len(months) - 3
        periods = [month] * finished + [Period.of_day(day) for day in market.days_of(month) if alone]
        works.append((KLINES, month, partial(write_klines, out, market, periods)))
    for day in days_between(arguments.first_trades_day, arguments.last_day):
        works.append((LIQUIDATION_SNAPSHOT, day, partial(write_liquidations, out, market, day)))
    return [
        _Task(f"{name} {dataset.name} {when}", work)
        for dataset, when, work in works
        if dataset.name in market.listing.archived
    ]


def _summary(out: Path, marker: _Marker) -> SimulationSummary:
    a = marker.arguments
    crashes = sorted(a.last_day - timedelta(days=crash.days_before) for crash in CRASHES)
    return SimulationSummary(
        root=out,
        markets=tuple(listing.market_id for listing in LISTINGS),
        first_day=a.first_day,
        last_day=a.last_day,
        first_trades_day=a.first_trades_day,
        spike_day=a.last_day,
        crash_days=tuple(day for day in crashes if day >= a.first_day),
        defects=_planned_defects(a),
        objects=marker.objects,
        bytes=marker.bytes,
    )


def _planned_defects(arguments: Arguments) -> tuple[PlannedDefect, ...]:
    return tuple(
        PlannedDefect(kind, LINEAR.market_id, arguments.last_day - timedelta(days=days_before), detail)
        for kind, days_before, detail in _DEFECTS
    )
