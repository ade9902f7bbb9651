"""The use case of recent days: what the archive does not have yet, from the venues' REST APIs, becomes receipted raw
objects.

Belongs here: which days are worth requesting (`plan_recent`), and the order request → check → encode → put → receipt
(`ingest_recent`). Idempotent: each object grows hour by hour, an hour that is held is not requested again, and
unfinished hours are left out.
Does not: sending requests (`ingestion.http.rest`), a venue's paths and answers (`ingestion.venues`), schedules,
settings.

Every source of such an object is a window of time that was requested (`ingestion.raw.windows`). Windows never overlap,
so the rows of an object are those of its windows.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.archive import Outcome, Status, Task
from ingestion.decode.api_rows import SetAside, instrument_rows, rows_of, usable
from ingestion.decode.decoder import DECODER_VERSION, encode
from ingestion.domain.datasets import DATASETS, INSTRUMENTS, KLINES, REST_KLINES, REST_TRADES, TAKER_RATIO, Dataset
from ingestion.domain.errors import Due, IngestionError, SourceDefect, StorageError, UnknownToVenue, VenueRefused
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, days_between, periods_between
from ingestion.http.values import ApiClient, Limit
from ingestion.raw.receipts import receipt_of
from ingestion.raw.windows import Window, covered_minutes, number_facts, source_of
from ingestion.raw.zone import Defect, ObjectId, RawZone, Receipt, Source
from ingestion.venues import trades_dataset_of
from ingestion.venues.venue import VenueApi

# How long trades of one market are requested in one run; older hours are left to the next run, or to the archive.
PATIENCE: Final = timedelta(minutes=10)

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
# Days of bars without any archive; Binance keeps the ratio for 30 days, the last of which ends during the requests.
_REACH_BACK_DAYS: Final = {REST_KLINES.name: 31, TAKER_RATIO.name: 29}
# An hour is requested this long after its end, so that the venue can finish it.
_GRACE: Final = timedelta(seconds=10)
# The oldest hour must still be within reach when its last page is requested.
_MARGIN: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Access:
    """A venue's API, and the client that its requests are sent through."""

    api: VenueApi
    client: ApiClient


class DryClient:
    """The client of a dry run: Due in place of a request. `now`: the time that the venue is taken to have."""

    def __init__(self, now: datetime) -> None:
        self.answered_at = now

    def get(self, path: str, parameters: Mapping[str, str | int], *, weight: int) -> Any:
        raise Due

    def allow(self, limit: Limit) -> None:
        pass


@dataclass
class _Growth:
    """New data of one object: windows with their rows, the error that ended them, and rows that cannot be stored."""

    windows: list[tuple[Window, pa.Table]] = field(default_factory=list)
    error: IngestionError | None = None
    set_aside: list[SetAside] = field(default_factory=list)


def plan_recent(
    markets: Sequence[Market],
    *,
    zone: RawZone,
    apis: Mapping[str, VenueApi],
    now: datetime,
    kline_interval: str = "1h",
    trades_dataset: str = "aggTrades",
    received: Sequence[str] = (),
) -> list[Task]:
    """The objects that the APIs of the markets' venues can bring up to date, the most important first.

    `apis`: by venue; other venues are left out. `received`: venues whose contracts are needed without any of their
    markets, since their liquidations were received. Bars and ratios: from the day after the last archived day of klines
    (of `kline_interval`) up to today. Trades: from the day after the last archived one (of `trades_dataset`, or what
    the venue has instead), at most as far back as the API reaches, the newest day first.
    """
    today = now.astimezone(UTC).date()
    finished = _finished(now)
    reachable = [market for market in markets if market.venue in apis]
    venues = [*(market.venue for market in reachable), *(venue for venue in received if venue in apis)]
    tasks = [
        _task(INSTRUMENTS, Market.whole_venue(venue), today)
        for venue in dict.fromkeys(venues)
        if INSTRUMENTS.name in apis[venue].offers
    ]
    for market in reachable:
        for dataset in (REST_KLINES, TAKER_RATIO):
            if dataset.name in apis[market.venue].offers:
                first = today - timedelta(days=_REACH_BACK_DAYS[dataset.name] - 1)
                held = _last_archived_day(zone, KLINES, market, kline_interval, first, today)
                days = days_between(first if held is None else held + timedelta(days=1), today)
                tasks += [_task(dataset, market, day) for day in days if Period.of_day(day).starts_at < finished]
    for market in reachable:
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
    scratch: Path | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every task's object up to date, the venues in parallel; outcomes in task order.

    `stored`: it grew. `unchanged`: no new hour has ended. `absent`: the venue has no data for it. `failed`: `error`
    states why; hours that were fetched before the failure are stored. One venue's failure does not affect another.
    `report` is called as each object ends, from one thread at a time. `patience`: see `PATIENCE`.
    `scratch`: where files are put together; the system's folder for temporary files when it is None. On a `DryZone`
    and with each `DryClient`, nothing is requested or stored, and what a run would request is `due`.
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
                outcome = _brought_up_to_date(task, access[venue], zone, clock, deadline, scratch)
                outcome = replace(outcome, seconds=time.monotonic() - started)
                refusal = outcome.error if isinstance(outcome.error, VenueRefused) else None
                if isinstance(outcome.error, UnknownToVenue):
                    unknown[task.market] = outcome.error
            else:
                outcome = Outcome(task, "failed", None, known_fault)  # the same text for every task it concerns
            with reporting:
                outcomes[task] = outcome
                report(outcome)

    venues = list(dict.fromkeys(task.market.venue for task in tasks))
    with ThreadPoolExecutor(max(1, len(venues))) as pool:
        for future in [pool.submit(run, venue) for venue in venues]:
            future.result()
    return [outcomes[task] for task in tasks]


def _brought_up_to_date(
    task: Task,
    access: Access,
    zone: RawZone,
    clock: Callable[[], datetime],
    deadline: datetime,
    scratch: Path | None,
) -> Outcome:
    try:
        held = zone.receipt(task.object_id)
        if zone.fault(task.object_id, held):
            held = None  # nothing of a damaged object is used again: what the API still has is requested once more
        growth = _growth(task, held, access, clock, deadline)
        receipt, size = held, 0
        # What an older version stored may break the contract of today.
        is_outdated = held is not None and held.status == "stored" and held.decoder_version != DECODER_VERSION
        if growth.windows or is_outdated:
            sources = [source_of(window, rows) for window, rows in growth.windows]
            tables = [rows for _, rows in growth.windows]
            set_aside = [_defect(each) for each in growth.set_aside]
            receipt = _stored(task, held, sources, tables, zone, clock(), set_aside, scratch)
            size = sum(source.size for source in sources)
        if growth.error is not None:
            return Outcome(task, "failed", receipt, growth.error, bytes_downloaded=size)
        is_stored = growth.windows or is_outdated
        status: Status = "stored" if is_stored else "unchanged" if held is not None else "absent"
        return Outcome(task, status, receipt, bytes_downloaded=size)
    except Due:
        return Outcome(task, "due", None)
    except IngestionError as error:
        return Outcome(task, "failed", None, error)
    except OSError as error:
        fault = StorageError(f"{task}: {error}; check free space and permissions of the temporary folder")
        return Outcome(task, "failed", None, fault)
    except Exception as error:  # a bug in one object must not affect the others
        bug = IngestionError(f"{task}: unexpected {type(error).__name__}: {error}; nothing of it was stored")
        return Outcome(task, "failed", None, bug)


def _growth(
    task: Task, held: Receipt | None, access: Access, clock: Callable[[], datetime], deadline: datetime
) -> _Growth:
    """What the venue has of the object beyond what is held."""
    api, client = access.api, access.client
    if task.dataset.name == INSTRUMENTS.name:
        if held is not None:
            return _Growth()  # contracts are listed once a day
        with _as_documented(task):
            found = api.instruments(client)
            now = min(clock(), task.period.ends_at - _MINUTE)
            rows, set_aside = instrument_rows(found, now, task.market, task.period)
        return _Growth([(Window(now, now), rows)] if rows.num_rows else [], set_aside=set_aside)
    until = min(task.period.ends_at, _finished(clock()))
    requested = [Window.of(source) for source in held.sources] if held is not None else []
    if task.dataset.name == REST_TRADES.name:
        return _trade_windows(task, requested, until, access, clock, deadline)
    since = max((window.until for window in requested), default=task.period.starts_at)
    if since >= until:
        return _Growth()
    with _as_documented(task):
        request = api.bars if task.dataset.name == REST_KLINES.name else api.taker_ratios
        answered = request(client, task.market, since, until)
        rows, set_aside = rows_of(task.dataset, answered, task.market, task.period)
    if not rows.num_rows:
        return _Growth()
    # Hours that the venue has not published yet are requested again.
    last = pc.max(rows.column(task.dataset.time_column)).as_py().astimezone(UTC)
    return _Growth([(Window(since, last + _HOUR), rows)], set_aside=set_aside)


def _trade_windows(
    task: Task,
    requested: Sequence[Window],
    until: datetime,
    access: Access,
    clock: Callable[[], datetime],
    deadline: datetime,
) -> _Growth:
    """The hours that are not held, newest first; a failure ends them and keeps those before it."""
    api, client = access.api, access.client
    held = {window.since.replace(minute=0, second=0, microsecond=0) for window in requested}
    growth = _Growth()
    hours = _hours(task.period.starts_at, until)
    for hour in reversed([hour for hour in hours if hour not in held]):
        reach = client.answered_at - timedelta(hours=api.trades_reach_back_hours) + _MARGIN
        if hour < reach or (clock() >= deadline and growth.windows):
            break
        try:
            with _as_documented(task):
                pages = list(api.trades(client, task.market, hour, hour + _HOUR))
                trades = [trade for page in pages for trade in page.trades]
                rows, set_aside = rows_of(task.dataset, trades, task.market, task.period)
        except IngestionError as error:
            growth.error = error
            break
        if not pages:
            break  # the venue's history does not reach back to this hour, so neither to an older one
        if client.answered_at < hour + _HOUR:
            continue  # by the venue's own clock the hour has not ended
        growth.windows.append((Window(pages[0].since, pages[-1].until), rows))
        growth.set_aside += set_aside
    growth.windows.reverse()
    return growth


def _stored(
    task: Task,
    held: Receipt | None,
    sources: Sequence[Source],
    tables: Sequence[pa.Table],
    zone: RawZone,
    now: datetime,
    set_aside: Sequence[Defect],
    folder: Path | None,
) -> Receipt:
    """The object with the rows of the new windows added to those it has, and its receipt."""
    if held is not None:
        sources = [*held.sources, *sources]
        stored, faulty = usable(zone.rows(task.object_id), task.dataset, task.market, task.period)
        tables = [stored, *tables]
        set_aside = [*map(_defect, faulty), *set_aside]
    rows = pa.concat_tables(tables)
    with tempfile.TemporaryDirectory(prefix="taker-", dir=folder) as scratch:
        target = Path(scratch, "data.parquet")
        found = encode(rows, task.dataset, task.period, str(task), target)
        # In order of time, so that the order of the requests leaves no trace.
        sources = sorted(sources, key=Window.of)
        defects = (*(held.defects if held is not None else ()), *set_aside)
        coverage: dict[str, Any] = {}
        if task.dataset.name == REST_TRADES.name:
            coverage = {"covered_minutes": covered_minutes(map(Window.of, sources), defects), **number_facts(rows)}
        receipt = receipt_of(
            task.object_id,
            now=now,
            version=DECODER_VERSION,
            days=(task.first_day, task.last_day),
            found=found,
            data=target,
            sources=sources,
            defects=defects,
            **coverage,
        )
        return zone.put(task.object_id, target, receipt)


def _defect(set_aside: SetAside) -> Defect:
    minute = set_aside.minute
    return Defect("quarantined_rows", set_aside.reason, minute.date(), f"{minute:%Y-%m-%dT%H}", set_aside.rows)


@contextmanager
def _as_documented(task: Task) -> Iterator[None]:
    """An answer that does not follow the venue's documentation is a defect of the source."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise SourceDefect(
            f"{task}: the API's answer is not what {task.market.venue} documents "
            f"({type(error).__name__}: {error}); nothing of it was stored"
        ) from error


def _last_archived_day(
    zone: RawZone, dataset: Dataset, market: Market, interval: str, first: date, last: date
) -> date | None:
    """The newest day from `first` to `last` that has rows from the archive; None without any."""
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
