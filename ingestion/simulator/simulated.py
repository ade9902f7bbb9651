"""A simulated exchange that writes an archive in Binance's own layout: same keys, schemas, zips and checksums.

Belongs here: the market model, the files it is published as, and the defects planted in them on purpose.
Does not: reading an archive. A simulated file takes the very path of a real one (`ingestion.venues.binance`).

What can be relied on:

* The same arguments give the same bytes. A day is drawn from a generator keyed by (seed, market, day), so its trades do
  not depend on how many other days are written; only `last_day` (which the planned days are counted from) and `seed`
  move it, and `rows_per_day` decides into how many trades its volume is cut.
* Every price, quantity and sum is an integer of the venue's smallest unit from the moment it is drawn. Floats shape the
  model and are never summed into a published amount. `_MAX_HOUR_USD` keeps every product inside 64 bits.
* On days with trades the klines are sums of them; on other days they are the model's own. Linear quote volume is the
  exact sum of price times quantity, inverse volume the exact number of contracts. An inverse hour's base volume is the
  exact sum of contracts * 100 / price, rounded half up to 8 decimals once per hour (and once for its bought part);
  `base_qty` of the trades file is rounded per trade, so its sum may differ in the last digits. Bars of 4h and 1d are
  sums of the published hours.
* `last_day` is the third-largest bearish spike of its two years, by daily and by 4h net taker volume in USD, in both
  markets: three planned days sell 3.2, 2.6 and 2.0 (times the market's share) billion USD net, 70 % of it within one
  4h bar. Every other day is held below 1.4, and every hour of an ordinary day below 0.16, so that no 4h, 8h or 7-hour
  window of it competes either.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from ingestion.domain.datasets import KLINE_INTERVALS
from ingestion.domain.errors import IngestionError
from ingestion.domain.periods import Period, Span, days_between, periods_between
from ingestion.venues.simulated import SIMULATION_MARKER

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Progress = Callable[[float, str], None]

MARKER: Final = SIMULATION_MARKER
MAX_DAYS: Final = 1500
MIN_TRADES_DAYS: Final = 7  # the planned defects lie on the last days
MIN_ROWS_PER_DAY: Final = 240  # a few rows of either side in the quietest hour
MAX_ROWS_PER_DAY: Final = 20_000_000  # one CSV member stays below the 2 GB where zip changes format

_EDITION: Final = 1  # of the model: part of the marker, so that an archive of an older model is rewritten
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_EPOCH: Final = date(1970, 1, 1)
_CONTRACT_USD: Final = 100
_MAX_HOUR_USD: Final = 6e9
_BATCH_ROWS: Final = 200_000

_KLINE_HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_AGG_HEADER: Final = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
_FUNDING_HEADER: Final = "calc_time,funding_interval_hours,last_funding_rate"
_METRICS_HEADER: Final = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
_LIQUIDATION_HEADER: Final = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)


class SimulationError(IngestionError, ValueError):
    """The arguments make no archive, or the folder is not ours to write into."""


class DefectKind(StrEnum):
    DUPLICATED_BLOCK = "duplicated block"
    MISSING_HOUR = "missing hour"
    HEADERLESS = "headerless file"
    ABSENT_DAY = "absent day"
    REPLACED_FILE = "replaced file"


@dataclass(frozen=True)
class PlannedDefect:
    """One defect planted on purpose, in the market's `aggTrades` and `trades` alike; the day's klines are whole."""

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


@dataclass(frozen=True)
class _Arguments:
    last_day: date
    days: int
    trades_days: int
    rows_per_day: int
    seed: int

    @property
    def first_day(self) -> date:
        return self.last_day - timedelta(days=self.days - 1)

    @property
    def first_trades_day(self) -> date:
        return self.last_day - timedelta(days=self.trades_days - 1)

    def as_json(self) -> dict[str, object]:
        return {
            "edition": _EDITION,
            "last_day": self.last_day.isoformat(),
            "days": self.days,
            "trades_days": self.trades_days,
            "rows_per_day": self.rows_per_day,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class _Listing:
    """One simulated market. A lot is the smallest quantity: 0.001 BTC, or one contract of 100 USD.

    `lot_scale`, `quote_scale`: decimals of `volume` and `quote_volume`. `share`: of the linear market's USD volume.
    """

    symbol: str
    folder: str
    inverse: bool
    lot_scale: int
    quote_scale: int
    trades_header: str
    share: float
    rows_share: float

    @property
    def market_id(self) -> str:
        return f"simulated:{self.symbol}"


_LINEAR: Final = _Listing("BTCUSDT", "um", False, 3, 4, "id,price,qty,quote_qty,time,is_buyer_maker", 1.0, 1.0)
_INVERSE: Final = _Listing("BTCUSD_PERP", "cm", True, 0, 8, "id,price,qty,base_qty,time,is_buyer_maker", 0.06, 0.4)
_LISTINGS: Final = (_LINEAR, _INVERSE)
_IS_BUYER_MAKER: Final = ("true", "false")  # by whether the taker bought


@dataclass(frozen=True)
class _Crash:
    """A planned day of long liquidations. `net_usd` of the linear market; `fall` of the log price within the day."""

    days_before: int
    net_usd: float
    fall: float


# The last day must be exactly third: two larger ones inside its window, everything else well below.
_CRASHES: Final = (
    _Crash(113, -3.2e9, 0.115),
    _Crash(95, -2.6e9, 0.090),
    _Crash(0, -2.0e9, 0.075),
    _Crash(17, -1.35e9, 0.050),
    _Crash(241, -1.30e9, 0.055),
    _Crash(402, -1.25e9, 0.060),
    _Crash(589, -1.20e9, 0.055),
)
# Share of a crash day's net flow by hour: 70 % within 16:00-20:00, one 4h bar; no other 4h bar of it has over 12 %.
_CRASH_PROFILE: Final = np.array([0.10 / 12] * 12 + [0.02] * 4 + [0.15, 0.22, 0.20, 0.13] + [0.03] * 4)
_ORDINARY_HOUR_NET_USD: Final = 0.16e9
_ORDINARY_DAY_NET_USD: Final = 1.05e9

# Trend of the price by days before the last one; the path stays within 12 % of it, hence within 60-120 thousand.
_TREND_DAYS: Final = np.array([1500, 1100, 760, 640, 520, 410, 300, 170, 116, 60, 0], dtype=np.float64)
_TREND_PRICE: Final = np.array([70, 69, 71, 69, 84, 98, 86, 104, 106, 92, 80], dtype=np.float64) * 1000

# Times of day that the planned defects cut out or double, in milliseconds.
_MISSING_SPAN: Final = (14 * _HOUR_MS, 15 * _HOUR_MS)
_DOUBLED_SPAN: Final = (9 * _HOUR_MS, 9 * _HOUR_MS + _HOUR_MS // 2)
_FIRST_EDITION_LACKS: Final = (10 * _HOUR_MS + _HOUR_MS // 2, 11 * _HOUR_MS)
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
    """Write the archive of two simulated markets to `out` and say what is in it.

    Klines, metrics and funding span `days` days ending with `last_day`; trades and liquidations the last `trades_days`.
    Klines lie as monthly zips of finished months, and as daily ones in the first month, the last two finished ones and
    the unfinished one: a range that begins within another month finds no days of that month.
    `rows_per_day`: about how many aggTrades an ordinary day of the linear market has (a busy day has up to three times
    as many, the inverse market 0.4 times; `trades` has about 1.6 rows for each).

    A complete archive of the same arguments is left as it is (corrections published since then included); any other
    simulated archive in `out` is replaced. Raises SimulationError for arguments that make no archive, and for a folder
    that holds anything which is not an earlier simulated archive.
    """
    arguments = _Arguments(last_day, days, trades_days, rows_per_day, seed)
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
    """Replace the files whose first edition lacks trades by whole ones, as a venue does weeks later; return the keys.

    Doing it twice changes nothing. Raises SimulationError when `out` holds no complete simulated archive.
    """
    marker = _Marker.read(out)
    if marker is None or not marker.describes(out):
        raise SimulationError(f"{out} holds no complete simulated archive; write one with simulate() first")
    market = _draw_market(_LINEAR, marker.arguments, _draw_path(marker.arguments))
    day = next(d.day for d in _planned_defects(marker.arguments) if d.kind is DefectKind.REPLACED_FILE)
    _write_trades(out, market, day, _Edition())
    return tuple(_key(_LINEAR, dataset, Period.of_day(day)) for dataset in ("aggTrades", "trades"))


# --- the archive as a whole ---------------------------------------------------------------------------------------


def _refuse_impossible(arguments: _Arguments) -> None:
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
    """The file at the archive's root that says what it is. `complete` is written last."""

    arguments: _Arguments
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
            if arguments.pop("edition") != _EDITION:
                return cls(_Arguments(date.min, 0, 0, 0, 0))
            arguments["last_day"] = date.fromisoformat(arguments["last_day"])
            return cls(_Arguments(**arguments), stored["complete"], stored["objects"], stored["bytes"])
        except (ValueError, KeyError, TypeError) as error:
            raise SimulationError(f"{path} is not a simulated archive's own marker; choose another folder") from error

    def describes(self, root: Path) -> bool:
        """True when the archive was finished and no object has been taken away since."""
        return self.complete and sum(1 for _ in (root / "data").rglob("*.zip")) == self.objects

    def write(self, root: Path) -> None:
        stored = {
            "arguments": self.arguments.as_json(),
            "complete": self.complete,
            "objects": self.objects,
            "bytes": self.bytes,
            "planned_defects": [f"{d.market_id} {d.day}: {d.detail}" for d in _planned_defects(self.arguments)],
        }
        label = "SIMULATED DATA. Not one price, trade or liquidation in this archive ever happened.\n"
        _replace(root / MARKER, (label + "\n" + json.dumps(stored, indent=2) + "\n").encode())


def _clear(out: Path, arguments: _Arguments, earlier: _Marker | None) -> None:
    """Make `out` an empty archive. Only a folder with our marker is ever emptied, and only of its `data`."""
    if out.exists() and not out.is_dir():
        raise SimulationError(f"{out} is a file; name a folder for the simulated archive")
    if out.is_dir() and earlier is None and any(out.iterdir()):
        raise SimulationError(f"{out} is not empty and has no {MARKER}, so it is no earlier simulated archive")
    out.mkdir(parents=True, exist_ok=True)
    _Marker(arguments).write(out)
    if (out / "data").exists():
        shutil.rmtree(out / "data")


def _write_archive(out: Path, arguments: _Arguments, progress: Progress) -> _Marker:
    progress(0.0, "drawing the markets hour by hour")
    path = _draw_path(arguments)
    markets = [_draw_market(listing, arguments, path) for listing in _LISTINGS]
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


def _trades_tasks(out: Path, market: _Market) -> list[_Task]:
    arguments, name = market.arguments, market.listing.market_id
    editions = {d.day: _EDITIONS[d.kind] for d in _planned_defects(arguments) if d.market_id == name}
    return [
        _Task(f"{name} trades {day}", partial(_write_trades, out, market, day, editions.get(day, _Edition())))
        for day in days_between(arguments.first_trades_day, arguments.last_day)
    ]


def _other_tasks(out: Path, market: _Market) -> list[_Task]:
    arguments, name = market.arguments, market.listing.market_id
    months = periods_between(arguments.first_day, arguments.last_day, Span.MONTH)
    tasks = []
    for index, month in enumerate(months):
        tasks.append(_Task(f"{name} metrics {month}", partial(_write_metrics, out, market, month)))
        finished = month.last_day <= arguments.last_day
        if finished:
            tasks.append(_Task(f"{name} funding {month}", partial(_write_funding, out, market, month)))
        # Days stand alone where a month's file cannot serve: an unfinished month, the month the market was listed in,
        # and the last two whole months, which shorter ranges begin within.
        alone = not finished or index == 0 or index >= len(months) - 3
        periods = [month] * finished + [Period.of_day(day) for day in market.days_of(month) if alone]
        tasks.append(_Task(f"{name} klines {month}", partial(_write_klines, out, market, periods)))
    for day in days_between(arguments.first_trades_day, arguments.last_day):
        tasks.append(_Task(f"{name} liquidations {day}", partial(_write_liquidations, out, market, day)))
    return tasks


def _summary(out: Path, marker: _Marker) -> SimulationSummary:
    a = marker.arguments
    crashes = sorted(a.last_day - timedelta(days=crash.days_before) for crash in _CRASHES)
    return SimulationSummary(
        root=out,
        markets=tuple(listing.market_id for listing in _LISTINGS),
        first_day=a.first_day,
        last_day=a.last_day,
        first_trades_day=a.first_trades_day,
        spike_day=a.last_day,
        crash_days=tuple(day for day in crashes if day >= a.first_day),
        defects=_planned_defects(a),
        objects=marker.objects,
        bytes=marker.bytes,
    )


def _planned_defects(arguments: _Arguments) -> tuple[PlannedDefect, ...]:
    return tuple(
        PlannedDefect(kind, _LINEAR.market_id, arguments.last_day - timedelta(days=days_before), detail)
        for kind, days_before, detail in _DEFECTS
    )


# --- the market model ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bars:
    """Published hours: prices in ticks of 0.1, volumes in lots, quotes in units of 10^-quote_scale."""

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote: Ints
    count: Ints
    buy_volume: Ints
    buy_quote: Ints

    def hours(self, span: slice) -> _Bars:
        """Views, so that a day's bars can be filled in place."""
        return _Bars(**{name: getattr(self, name)[span] for name in self.__dataclass_fields__})

    def coarser(self, hours: int) -> _Bars:
        """Bars of `hours` hours; their number must divide the bars held."""
        shape = (-1, hours)
        total = {
            name: getattr(self, name).reshape(shape).sum(axis=1)
            for name in ("volume", "quote", "count", "buy_volume", "buy_quote")
        }
        return _Bars(
            open=self.open[::hours],
            high=self.high.reshape(shape).max(axis=1),
            low=self.low.reshape(shape).min(axis=1),
            close=self.close[hours - 1 :: hours],
            **total,
        )


@dataclass(frozen=True)
class _Market:
    """One market's model, hour by hour over MAX_DAYS days that end with the last day, whatever part of them is written.

    `bars` hold the modelled flow; writing a day's trades replaces its bars by the sums of those trades.
    `aggs`, `trades`: rows per hour; `first_agg_id`, `first_trade_id`: ids are contiguous over days.
    """

    listing: _Listing
    arguments: _Arguments
    bars: _Bars
    aggs: Ints
    trades: Ints
    first_agg_id: Ints
    first_trade_id: Ints
    hourly_return: Floats
    open_interest: Ints

    def days_of(self, period: Period) -> list[date]:
        """The period's days, cut to those that are written."""
        return [day for day in period.days() if self.arguments.first_day <= day <= self.arguments.last_day]

    def hours_of(self, period: Period) -> slice:
        """Index of the hours of `days_of(period)`."""
        days = self.days_of(period)
        zero = self.arguments.last_day - timedelta(days=MAX_DAYS - 1)
        return slice((days[0] - zero).days * 24, ((days[-1] - zero).days + 1) * 24)


def _generator(seed: int, purpose: str, symbol: str, day: int) -> np.random.Generator:
    """The randomness of one purpose, market and day (days since 1970): independent of every other day's."""
    entropy = [seed, zlib.crc32(purpose.encode()), zlib.crc32(symbol.encode()), day]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _model_days(arguments: _Arguments) -> range:
    last = (arguments.last_day - _EPOCH).days
    return range(last - MAX_DAYS + 1, last + 1)


def _by_hour(crash_value: Callable[[_Crash], Floats]) -> Floats:
    """`crash_value` on the hours of crash days, 0 elsewhere."""
    hours = np.zeros((MAX_DAYS, 24))
    for crash in _CRASHES:
        hours[MAX_DAYS - 1 - crash.days_before] = crash_value(crash)
    return hours


@dataclass(frozen=True)
class _Path:
    """What both markets share. `shock`: hourly return in units of its volatility. Arrays of (MAX_DAYS, 24)."""

    close: Ints
    step: Floats
    shock: Floats
    log_volatility: Floats
    season: Floats


def _draw_path(arguments: _Arguments) -> _Path:
    daily, hourly = np.empty(MAX_DAYS), np.empty((MAX_DAYS, 24))
    for index, day in enumerate(_model_days(arguments)):
        generator = _generator(arguments.seed, "path", "BTC", day)
        daily[index] = generator.standard_normal()
        hourly[index] = generator.standard_t(5, 24)
    # Volatility clusters: the log of a day's volatility remembers about a fortnight.
    log_volatility = np.empty(MAX_DAYS)
    level = 0.0
    for index in range(MAX_DAYS):
        level = 0.93 * level + 0.18 * daily[index]
        log_volatility[index] = level
    clock = np.arange(24)
    season = 0.75 + 0.6 * np.exp(-(((clock - 15) / 4.5) ** 2))
    shock = np.clip(hourly / np.sqrt(5 / 3), -4.5, 4.5)
    step = 0.0040 * np.exp(log_volatility)[:, None] * season * np.ones((MAX_DAYS, 24))
    fall = _by_hour(lambda crash: crash.fall * _CRASH_PROFILE)
    moves = (step * shock - fall).ravel()
    # Deviations from the trend fade within weeks, and the tangent keeps them within 12 %.
    deviation = np.empty(moves.size)
    level = 0.0
    for index, move in enumerate(moves.tolist()):
        level = 0.996 * level + move
        deviation[index] = level
    days_before = MAX_DAYS - (np.arange(moves.size) + 1) / 24
    trend = np.interp(-days_before, -_TREND_DAYS, np.log(_TREND_PRICE))
    price = np.exp(trend + 0.12 * np.tanh(deviation / 0.12))
    return _Path(
        close=np.rint(10 * price).astype(np.int64).reshape(MAX_DAYS, 24),
        step=step,
        shock=shock - fall / step,
        log_volatility=np.repeat(log_volatility, 24).reshape(MAX_DAYS, 24),
        season=np.broadcast_to(season, (MAX_DAYS, 24)),
    )


def _draw_market(listing: _Listing, arguments: _Arguments, path: _Path) -> _Market:
    noise = np.empty((7, MAX_DAYS, 24))
    tail, uniform, leaning = np.empty((MAX_DAYS, 24)), np.empty((MAX_DAYS, 24)), np.empty(MAX_DAYS)
    for index, day in enumerate(_model_days(arguments)):
        generator = _generator(arguments.seed, "hours", listing.symbol, day)
        noise[:, index] = generator.standard_normal((7, 24))
        tail[index] = generator.standard_t(4, 24)
        uniform[index] = generator.random(24)
        leaning[index] = generator.standard_normal()
    weekday = (np.array(_model_days(arguments)) + 3) % 7
    quiet = np.where(weekday >= 5, -0.45, 0.0)[:, None]

    basis = np.rint(path.close * 0.00008 * noise[0]) if listing.inverse else 0
    close = (path.close + basis).astype(np.int64).ravel()
    open_ = np.concatenate([close[:1], close[:-1]])
    reach = (0.35 * path.step * path.close).ravel()
    high = np.maximum(open_, close) + 2 + (np.abs(noise[1]).ravel() * reach).astype(np.int64)
    low = np.minimum(open_, close) - 2 - (np.abs(noise[2]).ravel() * reach).astype(np.int64)

    # How much is traded, then how much of it leans to one side; both in USD until they are cut into lots.
    excitement = 0.5 * path.log_volatility + 0.3 * np.minimum(np.abs(path.shock), 5) + 0.2 * np.clip(tail, -5, 5)
    usd = 0.60e9 * listing.share * path.season * np.exp(excitement + quiet - 0.2)
    crash_net = _by_hour(lambda crash: crash.net_usd * _CRASH_PROFILE) * listing.share
    usd = np.clip(usd, 0.03e9 * listing.share, 3.5e9 * listing.share)
    usd = np.minimum(np.maximum(usd, 5.5 * np.abs(crash_net)), _MAX_HOUR_USD * listing.share)
    lean = -0.003 + 0.030 * np.clip(path.shock, -4, 4) + 0.02 * noise[3] + 0.022 * leaning[:, None]
    most = _ORDINARY_HOUR_NET_USD * listing.share
    net = np.clip(usd * np.clip(lean, -0.16, 0.16), -most, most)
    excess = np.abs(net.sum(axis=1)) / (_ORDINARY_DAY_NET_USD * listing.share)
    net /= np.maximum(excess, 1.0)[:, None]
    net = np.where(crash_net < 0, crash_net * (1 + 0.03 * np.tanh(noise[3])), net).ravel()

    price = (open_ + close) / 20
    lots_per_usd = 1 / _CONTRACT_USD if listing.inverse else 1000 / price
    volume = np.rint(usd.ravel() * lots_per_usd).astype(np.int64)
    buy = (volume + np.rint(net * lots_per_usd).astype(np.int64)) // 2
    smaller_side = np.minimum(buy, volume - buy)

    busy = (usd.ravel() / (0.45e9 * listing.share)) ** 0.6
    wanted = arguments.rows_per_day * listing.rows_share / 24 * np.clip(busy, 0.4, 3.0)
    # Every trade takes at least one lot of its side.
    aggs = np.clip(wanted.astype(np.int64), 4, smaller_side // 3)
    trades = np.minimum(aggs + (aggs * (0.4 + 0.4 * uniform.ravel())).astype(np.int64), smaller_side)

    tilt = noise[4:6].reshape(2, -1) * 0.08 * (high - low)
    buy_price, sell_price = (
        np.clip(np.rint((open_ + close) / 2 + t).astype(np.int64), low, high - 1) for t in (tilt[0], tilt[1])
    )
    if listing.inverse:
        buy_quote = _rounded_base(*_base(buy, buy_price))
        quote = buy_quote + _rounded_base(*_base(volume - buy, sell_price))
    else:
        # A mean price lies between two ticks: the fraction makes the last digits of a sum of many products.
        fraction = uniform.ravel()
        buy_quote = buy * buy_price + (buy * fraction).astype(np.int64)
        quote = buy_quote + (volume - buy) * sell_price + ((volume - buy) * (1 - fraction)).astype(np.int64)

    growth = np.cumsum(0.004 * noise[6].ravel() - 1.2 * _by_hour(lambda crash: crash.fall * _CRASH_PROFILE).ravel())
    interest = 80_000_000 if not listing.inverse else 5_500_000
    return _Market(
        listing=listing,
        arguments=arguments,
        bars=_Bars(open_, high, low, close, volume, quote, trades.copy(), buy, buy_quote),
        aggs=aggs,
        trades=trades,
        first_agg_id=1_000_000_000 + np.cumsum(aggs) - aggs,
        first_trade_id=2_000_000_000 + np.cumsum(trades) - trades,
        hourly_return=np.log(close / open_),
        open_interest=np.rint(interest * np.exp(0.3 * np.tanh(growth))).astype(np.int64),
    )


def _base(contracts: Ints, ticks: Ints) -> tuple[Ints, Ints, Ints]:
    """contracts * 100 / price to 24 decimals, in three parts of 8 decimals each: long division that fits 64 bits.

    An hour has at most 3.6 million contracts (`_MAX_HOUR_USD`), so the first product is below 4 * 10^17.
    """
    first, rest = np.divmod(contracts * (_CONTRACT_USD * 10 * 10**8), ticks)
    second, rest = np.divmod(rest * 10**8, ticks)
    return first, second, rest * 10**8 // ticks


def _rounded_base(first: Ints, second: Ints, third: Ints) -> Ints:
    """Parts (or sums of parts) of `_base`, rounded half up to 8 decimals. What a billion parts lose is 10^-15."""
    second = second + third // 10**8
    return first + second // 10**8 + (second % 10**8 >= 5 * 10**7)


# --- trades -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Edition:
    """How the files of a day differ from what happened. Spans are in milliseconds of the day."""

    lacks: tuple[int, int] | None = None
    doubles: tuple[int, int] | None = None
    header: bool = True
    exists: bool = True

    def rows(self, time_of_day: Ints) -> Ints:
        """Which rows the file has, in its order."""
        times = np.ones(time_of_day.size, dtype=np.int64)
        for span, count in ((self.lacks, 0), (self.doubles, 2)):
            if span is not None:
                times[(time_of_day >= span[0]) & (time_of_day < span[1])] = count
        return np.repeat(np.arange(time_of_day.size), times)


_EDITIONS: Final = {
    DefectKind.DUPLICATED_BLOCK: _Edition(doubles=_DOUBLED_SPAN),
    DefectKind.MISSING_HOUR: _Edition(lacks=_MISSING_SPAN),
    DefectKind.HEADERLESS: _Edition(header=False),
    DefectKind.ABSENT_DAY: _Edition(exists=False),
    DefectKind.REPLACED_FILE: _Edition(lacks=_FIRST_EDITION_LACKS),
}


@dataclass(frozen=True)
class _HourTrades:
    """The trades of one hour. Of aggregates: price, is_buy, time_of_day, size (trades in it). Of trades: lots."""

    price: Ints
    is_buy: Flags
    time_of_day: Ints
    size: Ints
    lots: Ints

    @property
    def first(self) -> Ints:
        """Index of the first trade of each aggregate."""
        return np.cumsum(self.size) - self.size


def _draw_trades(market: _Market, hour: int, generator: np.random.Generator) -> _HourTrades:
    bars = market.bars
    aggs, trades = int(market.aggs[hour]), int(market.trades[hour])
    volume, bought = int(bars.volume[hour]), int(bars.buy_volume[hour])
    time_of_day = np.sort(generator.integers(0, _HOUR_MS, aggs)) + hour % 24 * _HOUR_MS

    is_buy = generator.random(aggs) < bought / volume
    is_buy[0], is_buy[-1] = True, False  # both sides trade in every hour
    size = 1 + np.bincount(generator.integers(0, aggs, trades - aggs), minlength=aggs)

    # A bridge from the hour's open to its close: a taker's buy is filled at the ask, a tick above the bid.
    position = np.linspace(0.0, 1.0, aggs)
    walk = np.cumsum(generator.standard_normal(aggs)) / np.sqrt(aggs)
    opened, closed = float(bars.open[hour]), float(bars.close[hour])
    reach = 0.35 * float(bars.high[hour] - bars.low[hour])
    middle = opened + (closed - opened) * position + reach * (walk - walk[0] - (walk[-1] - walk[0]) * position)
    bid = np.clip(np.rint(middle), bars.low[hour], bars.high[hour] - 1).astype(np.int64)

    lots = np.empty(trades, dtype=np.int64)
    weight = np.exp(1.5 * generator.standard_normal(trades))
    of_buy = np.repeat(is_buy, size)
    for side, total in ((of_buy, bought), (~of_buy, volume - bought)):
        lots[side] = _share_out(total, weight[side])
    return _HourTrades(bid + is_buy, is_buy, time_of_day, size.astype(np.int64), lots)


def _share_out(total: int, weight: Floats) -> Ints:
    """`total` lots in parts that go with `weight`: each at least one, together exactly `total`."""
    spare = total - weight.size
    reached = np.cumsum(weight)
    ends = np.minimum(np.floor(reached / reached[-1] * spare).astype(np.int64), spare)
    ends[-1] = spare
    parts: Ints = np.diff(ends, prepend=0) + 1
    return parts


def _write_trades(out: Path, market: _Market, day: date, edition: _Edition) -> list[int]:
    """Draw a day's trades, write both of its files, and put the hours they sum to in the market's bars.

    Hour by hour, so that memory does not grow with the day.
    """
    listing, period = market.listing, Period.of_day(day)
    hours = market.hours_of(period)
    starts_ms = _epoch_ms(day)
    generator = _generator(market.arguments.seed, "trades", listing.symbol, (day - _EPOCH).days)
    files = [
        _CsvZip(out, _key(listing, dataset, period), header if edition.header else None)
        for dataset, header in (("aggTrades", _AGG_HEADER), ("trades", listing.trades_header))
    ]
    for hour in range(hours.start, hours.stop):
        drawn = _draw_trades(market, hour, generator)
        agg_lots = np.add.reduceat(drawn.lots, drawn.first)
        _fill_bar(market, hour, drawn, agg_lots)
        if edition.exists:
            rows = edition.rows(drawn.time_of_day)
            files[0].add(_agg_columns(market, hour, drawn, agg_lots, starts_ms), rows)
            aggregate = np.repeat(np.arange(drawn.size.size), drawn.size)
            rows = edition.rows(drawn.time_of_day[aggregate])
            files[1].add(_trade_columns(market, hour, drawn, aggregate, starts_ms), rows)
    return [file.close() for file in files] if edition.exists else []


def _fill_bar(market: _Market, hour: int, drawn: _HourTrades, lots: Ints) -> None:
    bars = market.bars
    bars.open[hour], bars.close[hour] = drawn.price[0], drawn.price[-1]
    bars.high[hour], bars.low[hour] = drawn.price.max(), drawn.price.min()
    if market.listing.inverse:
        parts = _base(lots, drawn.price)
        every = [part.sum(keepdims=True) for part in parts]
        bought = [part[drawn.is_buy].sum(keepdims=True) for part in parts]
        bars.quote[hour], bars.buy_quote[hour] = _rounded_base(*every)[0], _rounded_base(*bought)[0]
    else:
        notional = lots * drawn.price
        bars.quote[hour], bars.buy_quote[hour] = notional.sum(), notional[drawn.is_buy].sum()


def _agg_columns(market: _Market, hour: int, drawn: _HourTrades, lots: Ints, starts_ms: int) -> list[_Column]:
    first_id = int(market.first_trade_id[hour]) + drawn.first
    return [
        _Column(int(market.first_agg_id[hour]) + np.arange(lots.size)),
        _Column(drawn.price, 1),
        _Column(lots, market.listing.lot_scale),
        _Column(first_id),
        _Column(first_id + drawn.size - 1),
        _Column(starts_ms + drawn.time_of_day),
        _Column(drawn.is_buy.astype(np.int64), words=_IS_BUYER_MAKER),
    ]


def _trade_columns(market: _Market, hour: int, drawn: _HourTrades, aggregate: Ints, starts_ms: int) -> list[_Column]:
    price, lots, listing = drawn.price[aggregate], drawn.lots, market.listing
    return [
        _Column(int(market.first_trade_id[hour]) + np.arange(lots.size)),
        _Column(price, 1),
        _Column(lots, listing.lot_scale),
        _Column(_rounded_base(*_base(lots, price)) if listing.inverse else lots * price, listing.quote_scale),
        _Column(starts_ms + drawn.time_of_day[aggregate]),
        _Column(drawn.is_buy[aggregate].astype(np.int64), words=_IS_BUYER_MAKER),
    ]


# --- klines, funding, metrics, liquidations ------------------------------------------------------------------------


def _write_klines(out: Path, market: _Market, periods: Sequence[Period]) -> list[int]:
    """Every interval of every period (days or months)."""
    return [_write_bars(out, market, *pair) for pair in product(periods, KLINE_INTERVALS.items())]


def _write_bars(out: Path, market: _Market, period: Period, interval: tuple[str, int]) -> int:
    name, hours = interval
    listing = market.listing
    bars = market.bars.hours(market.hours_of(period)).coarser(hours)
    opens_ms = _epoch_ms(market.days_of(period)[0]) + np.arange(bars.open.size) * hours * _HOUR_MS
    file = _CsvZip(out, _key(listing, "klines", period, name), _KLINE_HEADER)
    prices = [_Column(values, 1) for values in (bars.open, bars.high, bars.low, bars.close)]
    file.add(
        [
            _Column(opens_ms),
            *prices,
            _Column(bars.volume, listing.lot_scale),
            _Column(opens_ms + hours * _HOUR_MS - 1),
            _Column(bars.quote, listing.quote_scale),
            _Column(bars.count),
            _Column(bars.buy_volume, listing.lot_scale),
            _Column(bars.buy_quote, listing.quote_scale),
            _Column(np.zeros(bars.open.size, dtype=np.int64)),
        ]
    )
    return file.close()


def _write_funding(out: Path, market: _Market, month: Period) -> list[int]:
    """Three fundings a day: near the usual 0.01 %, less after falls."""
    listing, hours = market.listing, market.hours_of(month)
    recent = np.convolve(market.hourly_return, np.ones(72))[hours.start : hours.stop : 8]
    times, rates = [], []
    for index, day in enumerate(market.days_of(month)):
        generator = _generator(market.arguments.seed, "funding", listing.symbol, (day - _EPOCH).days)
        times.append(_epoch_ms(day) + np.arange(3) * 8 * _HOUR_MS + generator.integers(0, 15, 3))
        rates.append(0.00006 + 0.0015 * recent[index * 3 : index * 3 + 3] + 0.00004 * generator.standard_normal(3))
    published = np.rint(np.clip(np.concatenate(rates), -0.003, 0.003) * 1e8).astype(np.int64)
    file = _CsvZip(out, _key(listing, "fundingRate", month), _FUNDING_HEADER)
    file.add([_Column(np.concatenate(times)), _Column(np.full(recent.size, 8)), _Column(published, 8)])
    return [file.close()]


def _write_metrics(out: Path, market: _Market, month: Period) -> list[int]:
    """Open interest and ratios every five minutes, labelled with the start of the five minutes, a file per day.

    They follow the model's hours and are no sums of the trades. The inverse market leaves three ratios empty, as the
    venue does.
    """
    listing, bars, hours = market.listing, market.bars, market.hours_of(month)
    days = market.days_of(month)
    of_day = 24 * 12
    noise = np.stack(
        [
            _generator(market.arguments.seed, "metrics", listing.symbol, (day - _EPOCH).days).standard_normal(
                (5, of_day)
            )
            for day in days
        ],
        axis=1,
    )
    slow = 0.002 * np.cumsum(noise[1:4], axis=2).reshape(3, -1)
    rows = len(days) * of_day
    of_hour = np.repeat(np.arange(hours.start, hours.stop), 12)
    twelfth = np.arange(rows) % 12
    ticks = (bars.open[of_hour] * (12 - twelfth) + bars.close[of_hour] * twelfth) // 12
    interest = np.rint(market.open_interest[of_hour] * (1 + 0.001 * noise[0].ravel())).astype(np.int64)
    if listing.inverse:
        value, interest_units = _rounded_base(*_base(interest, ticks)), interest * 10**8
    else:
        value, interest_units = interest * ticks * 10**4, interest * 10**5
    ratios = [np.rint(level * np.exp(slow[n]) * 1e8).astype(np.int64) for n, level in enumerate((1.4, 1.2, 1.6))]
    taker = bars.buy_volume[of_hour] / (bars.volume[of_hour] - bars.buy_volume[of_hour])
    columns = [
        _Column(_epoch_ms(days[0]) // 1000 + 300 * np.arange(rows), is_clock=True),
        _Column.repeated(listing.symbol, rows),
        _Column(interest_units, 8),
        _Column(value, 8),
        *(_Column.repeated("", rows) if listing.inverse else _Column(ratio, 8) for ratio in ratios),
        _Column(np.rint(taker * np.exp(0.25 * noise[4].ravel()) * 1e8).astype(np.int64), 8),
    ]
    # Formatted a month at a time and cut into days at their last line's end.
    text = memoryview(_csv_text([columns]))
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))[of_day - 1 :: of_day] + 1
    sizes = []
    for day, start, end in zip(days, [0, *ends[:-1]], ends, strict=True):
        file = _CsvZip(out, _key(listing, "metrics", Period.of_day(day)), _METRICS_HEADER)
        file.add_text(text[start:end])
        sizes.append(file.close())
    return sizes


def _write_liquidations(out: Path, market: _Market, day: date) -> list[int]:
    """Forced orders of a day: at most one per second, in cascades when the price falls; every row stands twice.

    An order filled in parts has a row per fill with a growing accumulated quantity, or, as often at the venue, only its
    last row.
    """
    listing, period = market.listing, Period.of_day(day)
    hours = market.hours_of(period)
    generator = _generator(market.arguments.seed, "liquidations", listing.symbol, (day - _EPOCH).days)
    moves = market.hourly_return[hours]
    orders = np.clip(2 + (np.abs(moves) / 0.004) ** 1.8 * 8, 2, 900).astype(np.int64)
    of_hour = np.repeat(np.arange(24), orders)
    seconds = [np.sort(generator.permutation(3600)[:count]) for count in orders.tolist()]
    within_hour = np.concatenate(seconds) * 1000 + generator.integers(0, 800, of_hour.size)
    time = _epoch_ms(day) + of_hour * _HOUR_MS + within_hour
    is_sell = generator.random(of_hour.size) < 0.5 - 0.42 * np.tanh(moves[of_hour] / 0.004)

    bars = market.bars.hours(hours)
    along = within_hour / _HOUR_MS
    average = np.rint(bars.open[of_hour] * (1 - along) + bars.close[of_hour] * along).astype(np.int64)
    distance = (average * (0.003 + 0.005 * generator.random(of_hour.size))).astype(np.int64)
    limit = average + np.where(is_sell, -distance, distance)
    typical = 200 if listing.inverse else 900
    lots = 1 + (typical * np.exp(1.6 * generator.standard_normal(of_hour.size) + 40 * np.abs(moves[of_hour]))).astype(
        np.int64
    )
    # An order is known by its side, quantity and limit; no two of a day may share them.
    identity = np.stack([is_sell.astype(np.int64), lots, limit])
    kept = np.sort(np.unique(identity, axis=1, return_index=True)[1])

    fills = np.minimum(1 + generator.choice(4, kept.size, p=[0.70, 0.15, 0.10, 0.05]), lots[kept])
    order = np.repeat(kept, fills)
    number = np.arange(order.size) - np.repeat(np.cumsum(fills) - fills, fills)
    of = np.repeat(fills, fills)
    ordered = lots[order]
    accumulated, before = ordered * (number + 1) // of, ordered * number // of
    is_last = number + 1 == of
    shown = is_last | np.repeat(generator.random(kept.size) < 0.7, fills)
    rows = np.repeat(np.flatnonzero(shown), 2)

    scale = listing.lot_scale
    file = _CsvZip(out, _key(listing, "liquidationSnapshot", period), _LIQUIDATION_HEADER)
    file.add(
        [
            _Column(time[order] + number * 37),
            _Column(is_sell[order].astype(np.int64), words=("BUY", "SELL")),
            _Column.repeated("LIMIT", order.size),
            _Column.repeated("IOC", order.size),
            _Column(ordered, scale),
            _Column(limit[order], 1),
            _Column(average[order] + np.where(is_sell[order], of - 1 - number, number + 1 - of), 1),
            _Column(is_last.astype(np.int64), words=("PARTIALLY_FILLED", "FILLED")),
            _Column(accumulated - before, scale),
            _Column(accumulated, scale),
        ],
        rows,
    )
    return [file.close()]


# --- files --------------------------------------------------------------------------------------------------------


def _key(listing: _Listing, dataset: str, period: Period, interval: str = "") -> str:
    """The archive's own naming, stated again: a mistake in the reader's must not be repeated here unseen."""
    span = "daily" if period.span is Span.DAY else "monthly"
    folder = f"data/futures/{listing.folder}/{span}/{dataset}/{listing.symbol}"
    if interval:
        return f"{folder}/{interval}/{listing.symbol}-{interval}-{period.label}.zip"
    return f"{folder}/{listing.symbol}-{dataset}-{period.label}.zip"


def _epoch_ms(day: date) -> int:
    return (day - _EPOCH).days * _DAY_MS


@dataclass(frozen=True)
class _Column:
    """Integers of a CSV column: plain, or with the last `scale` digits decimals, or the place of one of `words`, or
    seconds since 1970 written as a date and time."""

    values: Ints
    scale: int = 0
    words: tuple[str, ...] = ()
    is_clock: bool = False

    def rows(self, rows: Ints) -> _Column:
        return _Column(self.values[rows], self.scale, self.words, self.is_clock)

    @classmethod
    def repeated(cls, word: str, rows: int) -> _Column:
        """The same word in every row."""
        return cls(np.zeros(rows, dtype=np.int64), words=(word,))


class _CsvZip:
    """One archive object: a zip of one CSV, written in batches, and its checksum beside it. Same rows, same bytes."""

    def __init__(self, root: Path, key: str, header: str | None) -> None:
        self._path = root / key
        self._packed = io.BytesIO()
        self._zip = zipfile.ZipFile(self._packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        # Opened by name, a member is dated 1980-01-01: the clock must not be part of the bytes.
        self._member = self._zip.open(self._path.stem + ".csv", "w")
        if header is not None:
            self._member.write(header.encode() + b"\n")
        self._waiting: list[list[_Column]] = []
        self._rows = 0

    def add(self, columns: list[_Column], rows: Ints | None = None) -> None:
        """Append `columns`, or those of their `rows`."""
        picked = columns if rows is None else [column.rows(rows) for column in columns]
        self._waiting.append(picked)
        self._rows += picked[0].values.size
        if self._rows >= _BATCH_ROWS:
            self._flush()

    def add_text(self, rows: memoryview) -> None:
        """Append rows that are CSV already."""
        self._flush()
        self._member.write(rows)

    def close(self) -> int:
        """Finish the object and its checksum; return the zip's size in bytes."""
        self._flush()
        self._member.close()
        self._zip.close()
        packed = self._packed.getbuffer()
        digest = hashlib.sha256(packed).hexdigest()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._path, packed)
        checksum = f"{digest}  {self._path.name}\n".encode()
        _replace(self._path.with_name(self._path.name + ".CHECKSUM"), checksum)
        return len(packed)

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._member.write(_csv_text(self._waiting))
        self._waiting, self._rows = [], 0


def _csv_text(batches: Sequence[Sequence[_Column]]) -> pa.Buffer:
    """The rows of all batches as CSV, without a header."""
    columns = [_arrow(parts) for parts in zip(*batches, strict=True)]
    table = pa.Table.from_arrays(columns, names=[str(n) for n in range(len(columns))])
    text = pa.BufferOutputStream()
    pacsv.write_csv(table, text, pacsv.WriteOptions(include_header=False, quoting_style="none", batch_size=65_536))
    return text.getvalue()


def _arrow(parts: Sequence[_Column]) -> pa.Array:
    """Integers become decimals by naming their scale: the digits are never computed."""
    values = np.ascontiguousarray(np.concatenate([part.values for part in parts]), dtype="<i8")
    kind = parts[0]
    if kind.scale:
        wide = np.stack([values, values >> 63], axis=1)
        return pa.Array.from_buffers(pa.decimal128(38, kind.scale), values.size, [None, pa.py_buffer(wide)])
    # Named buffers, not pa.array: that imports pandas, which takes longer than a year of klines.
    narrow = pa.timestamp("s") if kind.is_clock else pa.int64()
    integers = pa.Array.from_buffers(narrow, values.size, [None, pa.py_buffer(values)])
    if not kind.words:
        return integers
    ends = np.cumsum([0, *(len(word) for word in kind.words)], dtype="<i4")
    text = "".join(kind.words).encode("ascii")
    return pa.StringArray.from_buffers(len(kind.words), pa.py_buffer(ends), pa.py_buffer(text)).take(integers)


def _replace(path: Path, content: bytes | memoryview) -> None:
    """Write aside and swap: a reader sees the old file or the new one."""
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(content)
    os.replace(aside, path)
