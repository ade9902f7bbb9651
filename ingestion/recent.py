"""The use case of today: what the archive does not have yet, from the venues' apis, becomes receipted raw objects.

Belongs here: which days are worth asking for (`plan_recent`), and the order ask → check → encode → put → receipt
(`ingest_recent`). Idempotent: each object grows hour by hour, an hour that is held is not asked for again, and what
has not ended is left out.
Does not: how a venue is asked (`ingestion.http.api`, `ingestion.venues`), schedules, settings.

Every source of such an object is a window of time that was asked for, `rest/<since>/<until>`, with the sha256 of its
rows. Windows never overlap, so the rows of an object are those of its windows.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingestion.archive import Outcome, Status, Task
from ingestion.decode.decoder import DECODER_VERSION, Decoded, encode
from ingestion.domain.arrow import unstorable
from ingestion.domain.datasets import DATASETS, INSTRUMENTS, KLINES, REST_KLINES, REST_TRADES, TAKER_RATIO, Dataset
from ingestion.domain.errors import IngestionError, SourceDefect, StorageError, UnknownToVenue, VenueRefused
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, days_between, periods_between
from ingestion.http.values import ApiClient
from ingestion.raw.zone import Defect, ObjectId, RawZone, Receipt, Source
from ingestion.venues import trades_dataset_of
from ingestion.venues.venue import Instrument, VenueApi

# How long trades of one market are asked for in one run; older hours are left to the next run, or to the archive.
PATIENCE: Final = timedelta(minutes=10)

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
# Days of bars without any archive; Binance keeps the ratio for 30 days, the last of which ends while we ask.
_REACH_BACK_DAYS: Final = {REST_KLINES.name: 31, TAKER_RATIO.name: 29}
# An hour is asked for once the venue had a moment to finish it.
_GRACE: Final = timedelta(seconds=10)
# The oldest hour must still be within reach when its last page is asked for.
_MARGIN: Final = timedelta(minutes=10)
# Where a stored column and the attribute it comes from differ in name.
_ATTRIBUTES: Final = {"trade_number": "number"}


@dataclass(frozen=True)
class Access:
    """A venue's api, and the client that it is asked through."""

    api: VenueApi
    client: ApiClient


@dataclass(frozen=True, order=True)
class Window:
    """A half-open range of time that was asked for. Whole minutes, but where a venue's memory begins between two."""

    since: datetime
    until: datetime

    @property
    def key(self) -> str:
        return f"rest/{_stamp(self.since)}/{_stamp(self.until)}"

    @classmethod
    def of(cls, source: Source) -> Window:
        _, since, until = source.key.split("/")
        return cls(datetime.fromisoformat(since), datetime.fromisoformat(until))


@dataclass
class _Grown:
    """What is new of one object: windows with their rows, why no more of them came, and rows that cannot be stored."""

    windows: list[tuple[Window, pa.Table]] = field(default_factory=list)
    error: IngestionError | None = None
    set_aside: list[Defect] = field(default_factory=list)


def plan_recent(
    markets: Sequence[Market],
    *,
    zone: RawZone,
    apis: Mapping[str, VenueApi],
    now: datetime,
    kline_interval: str = "1h",
    trades_dataset: str = "aggTrades",
    heard: Sequence[str] = (),
) -> list[Task]:
    """The objects that the apis of the markets' venues can bring up to date, those that matter most first.

    `apis`: by venue; a venue that is not among them is not asked. `heard`: venues whose contracts are wanted without
    any market of theirs, as liquidations of them were heard. Bars and ratios: from the day after the last archived
    day of klines (of `kline_interval`) up to today. Trades: from the day after the last archived one (of
    `trades_dataset`, or what the venue has instead), at most as far as the api goes, the newest day first.
    """
    today = now.astimezone(UTC).date()
    finished = _finished(now)
    asked = [market for market in markets if market.venue in apis]
    tasks = []
    for venue in dict.fromkeys([*(market.venue for market in asked), *(venue for venue in heard if venue in apis)]):
        if INSTRUMENTS.name in apis[venue].offers:
            tasks.append(_task(INSTRUMENTS, Market.whole_venue(venue), today))
    for market in asked:
        api = apis[market.venue]
        for dataset in (REST_KLINES, TAKER_RATIO):
            if dataset.name in api.offers:
                first = today - timedelta(days=_REACH_BACK_DAYS[dataset.name] - 1)
                held = _last_archived_day(zone, KLINES, market, kline_interval, first, today)
                days = days_between(first if held is None else held + timedelta(days=1), today)
                tasks += [_task(dataset, market, day) for day in days if Period.of_day(day).starts_at < finished]
    for market in asked:
        api = apis[market.venue]
        if REST_TRADES.name in api.offers and api.trades_reach_back_hours:
            first = (now - timedelta(hours=api.trades_reach_back_hours)).date()
            archived = DATASETS[trades_dataset_of(market, trades_dataset)]
            held = _last_archived_day(zone, archived, market, "", first, today)
            days = days_between(first if held is None else held + timedelta(days=1), today)
            newest_first = sorted((day for day in days if Period.of_day(day).starts_at < finished), reverse=True)
            tasks += [_task(REST_TRADES, market, day) for day in newest_first]
    return tasks


def ingest_recent(
    tasks: Sequence[Task],
    *,
    access: Mapping[str, Access],
    zone: RawZone,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    patience: timedelta = PATIENCE,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every task's object up to date, the venues side by side; outcomes in task order.

    `stored`: it grew. `unchanged`: nothing new has ended. `absent`: the venue has nothing of it. `failed`: `error` says
    why; hours that came before the failure are stored all the same. One venue's failure is not another's. `report` is
    called as each object ends, from one thread at a time. `patience`: see `PATIENCE`.
    """
    reporting = threading.Lock()
    outcomes: dict[Task, Outcome] = {}

    def run(venue: str) -> None:
        deadlines: dict[Market, datetime] = {}
        refusal: IngestionError | None = None
        unknown: dict[Market, IngestionError] = {}
        for task in [task for task in tasks if task.market.venue == venue]:
            started = time.monotonic()
            deadline = deadlines.setdefault(task.market, clock() + patience)
            known_fault = refusal or unknown.get(task.market)
            if known_fault is None:
                outcome = _brought_up_to_date(task, access[venue], zone, clock, deadline)
                outcome = replace(outcome, seconds=time.monotonic() - started)
                refusal = outcome.error if isinstance(outcome.error, VenueRefused) else None
                if isinstance(outcome.error, UnknownToVenue):
                    unknown[task.market] = outcome.error
            else:
                outcome = Outcome(task, "failed", None, known_fault)  # the same words for all that it concerns
            with reporting:
                outcomes[task] = outcome
                report(outcome)

    venues = list(dict.fromkeys(task.market.venue for task in tasks))
    with ThreadPoolExecutor(max(1, len(venues))) as pool:
        for future in [pool.submit(run, venue) for venue in venues]:
            future.result()
    return [outcomes[task] for task in tasks]


def _brought_up_to_date(
    task: Task, access: Access, zone: RawZone, clock: Callable[[], datetime], deadline: datetime
) -> Outcome:
    try:
        held = zone.receipt(task.object_id)
        grown = _grown(task, held, access, clock, deadline)
        receipt, size = held, 0
        if grown.windows:
            sources = [_source(window, rows) for window, rows in grown.windows]
            tables = [rows for _, rows in grown.windows]
            receipt = _stored(task, held, sources, tables, zone, clock(), grown.set_aside)
            size = sum(source.size for source in sources)
        if grown.error is not None:
            return Outcome(task, "failed", receipt, grown.error, bytes_downloaded=size)
        status: Status = "stored" if grown.windows else "unchanged" if held is not None else "absent"
        return Outcome(task, status, receipt, bytes_downloaded=size)
    except IngestionError as error:
        return Outcome(task, "failed", None, error)
    except OSError as error:
        fault = StorageError(f"{task}: {error}; check free space and permissions of the temporary folder")
        return Outcome(task, "failed", None, fault)
    except Exception as error:  # a fault of ours in one object must not take the others with it
        bug = IngestionError(f"{task}: unexpected {type(error).__name__}: {error}; nothing of it was stored")
        return Outcome(task, "failed", None, bug)


def _grown(
    task: Task, held: Receipt | None, access: Access, clock: Callable[[], datetime], deadline: datetime
) -> _Grown:
    """What the venue has of the object beyond what is held."""
    api, client = access.api, access.client
    if task.dataset.name == INSTRUMENTS.name:
        if held is not None:
            return _Grown()  # contracts are listed by the day
        with _as_documented(task):
            found = api.instruments(client)
            now = min(clock(), task.period.ends_at - _MINUTE)
            rows, set_aside = _instrument_rows(found, now)
        return _Grown([(Window(now, now), rows)] if rows.num_rows else [], set_aside=set_aside)
    until = min(task.period.ends_at, _finished(clock()))
    asked = [Window.of(source) for source in held.sources] if held is not None else []
    if task.dataset.name == REST_TRADES.name:
        return _trade_windows(task, asked, until, access, clock, deadline)
    since = max((window.until for window in asked), default=task.period.starts_at)
    if since >= until:
        return _Grown()
    with _as_documented(task):
        ask = api.bars if task.dataset.name == REST_KLINES.name else api.taker_ratios
        rows, set_aside = _rows(task.dataset, ask(client, task.market, since, until))
    if not rows.num_rows:
        return _Grown()
    # What the venue has not published yet is asked for again.
    last = pc.max(rows.column(task.dataset.time_column)).as_py().astimezone(UTC)
    return _Grown([(Window(since, last + _HOUR), rows)], set_aside=set_aside)


def _trade_windows(
    task: Task,
    asked: Sequence[Window],
    until: datetime,
    access: Access,
    clock: Callable[[], datetime],
    deadline: datetime,
) -> _Grown:
    """The hours that are not held, newest first; a failure ends them and keeps what came before."""
    api, client = access.api, access.client
    held = {window.since.replace(minute=0, second=0, microsecond=0) for window in asked}
    grown = _Grown()
    hours = _hours(task.period.starts_at, until)
    for hour in reversed([hour for hour in hours if hour not in held]):
        reach = client.answered_at - timedelta(hours=api.trades_reach_back_hours) + _MARGIN
        if hour < reach or (clock() >= deadline and grown.windows):
            break
        try:
            with _as_documented(task):
                pages = list(api.trades(client, task.market, hour, hour + _HOUR))
                rows, set_aside = _rows(task.dataset, [trade for page in pages for trade in page.trades])
        except IngestionError as error:
            grown.error = error
            break
        if not pages:
            break  # its memory does not go back to this hour, so neither to an older one
        if client.answered_at < hour + _HOUR:
            continue  # by the venue's own clock the hour has not ended
        grown.windows.append((Window(pages[0].since, pages[-1].until), rows))
        grown.set_aside += set_aside
    grown.windows.reverse()
    return grown


def _stored(
    task: Task,
    held: Receipt | None,
    sources: Sequence[Source],
    tables: Sequence[pa.Table],
    zone: RawZone,
    now: datetime,
    set_aside: Sequence[Defect],
) -> Receipt:
    """The object with the rows of the new windows among those it has, and its receipt."""
    if held is not None:
        sources = [*held.sources, *sources]
        tables = [zone.rows(task.object_id), *tables]
    rows = pa.concat_tables(tables)
    with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
        target = Path(scratch, "data.parquet")
        found = encode(rows, task.dataset, task.period, str(task), target)
        with target.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        # In order of time, so that it does not show in which order hours were asked for.
        sources = sorted(sources, key=Window.of)
        defects = (*(held.defects if held is not None else ()), *set_aside)
        receipt = replace(_receipt(task, now, found, sources, sha256, target.stat().st_size), defects=defects)
        if task.dataset.name == REST_TRADES.name:
            covered = _covered(map(Window.of, sources), defects)
            receipt = replace(receipt, covered_minutes=covered, **_numbers(rows))
        return zone.put(task.object_id, target, receipt)


def _receipt(task: Task, now: datetime, found: Decoded, sources: Sequence[Source], sha256: str, size: int) -> Receipt:
    return Receipt(
        dataset=task.dataset.name,
        venue=task.market.venue,
        symbol=task.market.symbol,
        interval=task.interval,
        period=task.period.label,
        status="stored",
        first_day=task.first_day,
        last_day=task.last_day,
        known_at=now,
        decoder_version=DECODER_VERSION,
        rows=found.rows,
        stored_bytes=size,
        day_rows={day.isoformat(): rows for day, rows in found.day_rows.items()},
        duplicate_rows=found.duplicate_rows,
        zero_rows=found.zero_rows,
        min_at=found.min_at,
        max_at=found.max_at,
        sources=tuple(sources),
        stored_sha256=sha256,
    )


def _source(window: Window, rows: pa.Table) -> Source:
    """The window with the sha256 of its rows in a form of their own: a line each, in the order of the answer."""
    text = io.BytesIO()
    pacsv.write_csv(rows, text)
    return Source(window.key, hashlib.sha256(text.getvalue()).hexdigest(), text.tell(), rows.num_rows)


def _covered(windows: Iterable[Window], set_aside: Iterable[Defect]) -> dict[str, int]:
    """Whole minutes of each hour (`2026-11-26T13`) that the windows hold, but those of rows that are set aside."""
    minutes: dict[str, int] = {}
    for window in windows:
        first = window.since.replace(second=0, microsecond=0)
        first += _MINUTE if first < window.since else timedelta()
        while first + _MINUTE <= window.until:
            hour = f"{first:%Y-%m-%dT%H}"
            minutes[hour] = minutes.get(hour, 0) + 1
            first += _MINUTE
    for defect in set_aside:
        if defect.hour in minutes:
            minutes[defect.hour] = max(0, minutes[defect.hour] - 1)
    return dict(sorted(minutes.items()))


def _numbers(trades: pa.Table) -> dict[str, Any]:
    """First and last number of the trades, and how many are missing inside of the hours that are there."""
    numbered = trades.filter(pc.is_valid(trades.column("trade_number")))
    if not numbered.num_rows:
        return {}
    hours = pc.floor_temporal(numbered.column("traded_at"), unit="hour")
    by_hour = pa.table({"hour": hours, "number": numbered.column("trade_number")}).group_by("hour")
    found = by_hour.aggregate([("number", "min"), ("number", "max"), ("number", "count_distinct")])
    spans = pc.add(pc.subtract(found.column("number_max"), found.column("number_min")), 1)
    return {
        "first_id": pc.min(found.column("number_min")).as_py(),
        "last_id": pc.max(found.column("number_max")).as_py(),
        "id_gaps": pc.sum(pc.subtract(spans, found.column("number_count_distinct"))).as_py(),
    }


def _rows(dataset: Dataset, found: Sequence[Any]) -> tuple[pa.Table, list[Defect]]:
    """Rows with the dataset's schema, from objects whose attributes are named as its columns."""
    names = [(column.name, _ATTRIBUTES.get(column.name, column.name)) for column in dataset.columns]
    return _storable([{name: getattr(one, attribute) for name, attribute in names} for one in found], dataset)


def _instrument_rows(found: Sequence[Instrument], now: datetime) -> tuple[pa.Table, list[Defect]]:
    rows = [
        {
            "symbol_name": one.market.symbol,
            "observed_at": now,
            "base_asset": one.market.base_asset,
            "quote_asset": one.market.quote_asset,
            "contract_type": one.market.contract_type.value,
            "contract_size": one.contract_size,
            "base_multiplier": one.market.base_multiplier,
            "listed_at": one.listed_at,
            "delivers_at": one.delivers_at,
            "is_trading": one.is_trading,
        }
        for one in found
    ]
    return _storable(rows, INSTRUMENTS)


def _storable(rows: Sequence[dict[str, Any]], dataset: Dataset) -> tuple[pa.Table, list[Defect]]:
    """The rows with the dataset's schema, but those with a number that Taker cannot store exactly: one defect for each
    minute of these, so that a single such trade costs its minute and no more."""
    try:
        return pa.Table.from_pylist(rows, schema=dataset.schema), []
    except pa.ArrowInvalid:
        faults = [_unstorable(row, dataset) for row in rows]
        if not any(faults):
            raise
    minutes: dict[datetime, list[str]] = {}
    for row, fault in zip(rows, faults, strict=True):
        if fault is not None:
            minute = row[dataset.time_column].astimezone(UTC).replace(second=0, microsecond=0)
            minutes.setdefault(minute, []).append(fault)
    kept = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
    return pa.Table.from_pylist(kept, schema=dataset.schema), [
        Defect("quarantined_rows", in_minute[0], minute.date(), f"{minute:%Y-%m-%dT%H}", len(in_minute))
        for minute, in_minute in sorted(minutes.items())
    ]


def _unstorable(row: dict[str, Any], dataset: Dataset) -> str | None:
    """The first number of the row that does not fit, in a sentence without full stop; None when all of them do."""
    for column in dataset.columns:
        value = row[column.name]
        if isinstance(value, Decimal) and pa.types.is_decimal(column.type):
            fault = unstorable(value, column.type)
            if fault is not None:
                return f"`{column.name}` {value} {fault}"
    return None


@contextmanager
def _as_documented(task: Task) -> Iterator[None]:
    """An answer that cannot be read as documented is the venue's fault, and said to be."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise SourceDefect(
            f"{task}: the api's answer is not what {task.market.venue} documents "
            f"({type(error).__name__}: {error}); nothing of it was stored"
        ) from error


def _last_archived_day(
    zone: RawZone, dataset: Dataset, market: Market, interval: str, first: date, last: date
) -> date | None:
    """The newest day from `first` to `last` that the archive gave us rows of; None without any."""
    for period in reversed(periods_between(first, last, dataset.span)):
        held = zone.receipt(ObjectId(dataset.name, market, interval, period))
        days = [date.fromisoformat(day) for day, rows in held.day_rows.items() if rows] if held is not None else []
        if days:
            return max(days)
    return None


def _task(dataset: Dataset, market: Market, day: date) -> Task:
    return Task(dataset, market, "1h" if dataset.has_interval else "", Period.of_day(day), day, day)


def _finished(now: datetime) -> datetime:
    """The end of the last hour that has ended."""
    return (now.astimezone(UTC) - _GRACE).replace(minute=0, second=0, microsecond=0)


def _hours(since: datetime, until: datetime) -> list[datetime]:
    return [since + n * _HOUR for n in range(max(0, (until - since) // _HOUR))]


def _stamp(at: datetime) -> str:
    """UTC in ISO 8601, as short as it can be said exactly."""
    precise = "milliseconds" if at.microsecond else "seconds" if at.second else "minutes"
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precise)}Z"
