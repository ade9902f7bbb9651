"""Merging the daily objects of settled months into one object each.

Belongs here: which months are merged, in which order objects come and go, what stays as it is and why. Does not: what a
merged month is (`ingestion.raw.months`), whose turn it is (`orchestration.runs.merging`).

The order: the month's data, its receipt, a look whether both are stored as they were made; then the receipts of the
days, from which moment an index states the month; then the index; and last the days' data, once no reader of an older
index is left. Killed at any moment, every day is stated by a receipt whose object is there, and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from ingestion.domain.datasets import DATASETS, MERGEABLE
from ingestion.domain.errors import StorageError
from ingestion.domain.periods import Period
from ingestion.raw.months import receipt_of_month, rows_of_object, write_month
from ingestion.raw.names import DATA, FORMER_RECEIPT, RECEIPT, month_of, present_key, stored_receipt
from ingestion.raw.receipts import SCHEMA_VERSION, ObjectId, Receipt, readable, sha256_of
from ingestion.raw.soundness import Inspector
from ingestion.raw.tables import remedy
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market

# So many objects, or bytes of merged months, before the index is written and what they replace is removed.
_MOST_STALE: Final = 20_000
_MOST_STALE_BYTES: Final = 10 << 30
Status = Literal["merged", "due", "unchanged", "open", "left"]


class _Unmergeable(Exception):
    """Why a month is left as it is, as the end of a sentence."""


@dataclass(frozen=True)
class MonthOutcome:
    """What became of a month of a dataset of a market.

    `status`: `merged`, or files of its days were removed; `due`, of a dry run, where that would be; `unchanged`;
    `open`, not settled yet; `left` alone, and `why`.

    `files_before`, `files_after`: data and receipts, of the days and of the month. `rows`, `bytes`:
    of the merged object. `waiting`: data of days that nothing reads any more, to be removed by a later call. `beside`:
    days that were stored after their month was merged, such as corrected ones, and stay beside it.
    """

    market_id: str
    dataset: str
    month: str
    status: Status
    files_before: int
    files_after: int
    rows: int = 0
    bytes: int = 0
    waiting: int = 0
    beside: int = 0
    why: str = ""


@dataclass
class _Month:
    """The objects of a month. `days`: by folder of each, the keys of data and receipt; `own`: those of the month's."""

    object_id: ObjectId
    days: dict[str, set[str]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    @property
    def files(self) -> int:
        return len(self.own) + sum(map(len, self.days.values()))

    def outcome(self, status: Status, *, files_after: int | None = None, **more: Any) -> MonthOutcome:
        about = (self.object_id.market.market_id, self.object_id.dataset, self.object_id.period.label)
        return MonthOutcome(*about, status, self.files, self.files if files_after is None else files_after, **more)


def merge_months(
    zone: RawZone,
    *,
    now: datetime,
    settled_for: timedelta,
    kept_for: timedelta,
    datasets: Collection[str] = tuple(MERGEABLE),
    market_ids: Collection[str] | None = None,
    is_dry: bool = False,
    scratch: Path | None = None,
    report: Callable[[MonthOutcome], None] = lambda outcome: None,
    notice: Callable[[str], None] = lambda text: None,
    still_alone: Callable[[], None] = lambda: None,
) -> list[MonthOutcome]:
    """Merge every month that ended `settled_for` ago and of which each day is stored, or known to be absent.

    `kept_for`: how long the data of the days stay after their month was merged, for readers of an index from before
    that. `market_ids`: None for all. `still_alone` is called before anything is removed. One call at a time per
    storage. What other processes store meanwhile is kept. StorageError.
    """
    if not is_dry:
        zone.write_index(scratch, notice=notice)  # rewrites objects of an older schema
    months = _months(zone, datasets, market_ids)
    call = _Call(zone, Inspector(zone.store), now, kept_for, is_dry, scratch, still_alone)
    outcomes: list[MonthOutcome] = []
    folders: list[str]
    stale: list[str] = []
    stale_bytes = 0
    for month in months:
        if month.object_id.period.last_day >= (now - settled_for).date():
            outcome, folders = month.outcome("open", why="the month is not settled yet"), []
        elif not month.days:
            outcome, folders = month.outcome("unchanged"), []
        else:
            outcome, folders = _outcome(call, month)
        outcomes.append(outcome)
        report(outcome)
        stale += folders
        stale_bytes += outcome.bytes if folders else 0
        if len(stale) >= _MOST_STALE or stale_bytes >= _MOST_STALE_BYTES:
            _remove_data(call, stale, notice)
            stale, stale_bytes = [], 0
    if not is_dry and (stale or any(outcome.status == "merged" for outcome in outcomes)):
        _remove_data(call, stale, notice)
    return outcomes


@dataclass(frozen=True)
class _Call:
    """What every month of one call of `merge_months` needs."""

    zone: RawZone
    inspector: Inspector
    now: datetime
    kept_for: timedelta
    is_dry: bool
    scratch: Path | None
    still_alone: Callable[[], None]


def _remove_data(call: _Call, folders: Sequence[str], notice: Callable[[str], None]) -> None:
    """Remove the data of these days, once the index states their months."""
    call.zone.write_index(call.scratch, notice=notice)
    call.still_alone()
    for folder in folders:
        call.zone.remove_data(folder)


def _months(zone: RawZone, datasets: Collection[str], market_ids: Collection[str] | None) -> list[_Month]:
    """The months of days that have any object, in order."""
    months: dict[str, _Month] = {}
    for dataset in datasets:
        for found in zone.store.list(f"raw/{dataset}"):
            folder, _, name = found.key.rpartition("/")
            if f"/{name}" not in (DATA, RECEIPT, FORMER_RECEIPT):
                continue
            month = month_of(folder) or folder
            if month not in months:
                months[month] = _Month(_object_of(month))
            held = months[month].own if month == folder else months[month].days.setdefault(folder, set())
            held.add(present_key(found.key))
    chosen = months if market_ids is None else {f: m for f, m in months.items() if _is_of(m, market_ids)}
    return [chosen[folder] for folder in sorted(chosen)]


def _is_of(month: _Month, market_ids: Collection[str]) -> bool:
    return month.object_id.market.market_id in market_ids


def _object_of(folder: str) -> ObjectId:
    """The object of a month by its folder."""
    _, dataset, venue, symbol, month = folder.split("/")
    market = parse_market(f"{venue.partition('=')[2]}:{symbol.partition('=')[2]}")
    return ObjectId(dataset, market, "", Period.of_month(date.fromisoformat(f"{month.partition('=')[2]}-01")))


def _outcome(call: _Call, month: _Month) -> tuple[MonthOutcome, list[str]]:
    """What became of the month, and the folders of its days whose data may go now."""
    try:
        held, days = _receipts(call, month)
        is_due = held is None
        if held is None and call.is_dry:
            return month.outcome("due", files_after=1 + any(day.status == "stored" for day in days)), []
        if held is None:
            held = _merged(call, month.object_id, days)
    except _Unmergeable as reason:
        return _left(month, str(reason))
    own = [folder for folder, keys in month.days.items() if folder + RECEIPT in keys]
    if not call.is_dry:
        call.still_alone()
    replaced = [folder for folder in own if _is_in(call.zone, held, folder)]
    for folder in replaced if not call.is_dry else ():
        call.zone.remove_receipt(folder)
    unread = {folder for folder in month.days if folder not in own and held.of_day(folder)}.union(replaced)
    with_data = sorted(folder for folder in unread if folder + DATA in month.days[folder])
    may_go = held.known_at + call.kept_for <= call.now
    removed = len(replaced) + (len(with_data) if may_go else 0)
    outcome = month.outcome(
        ("due" if call.is_dry else "merged") if is_due or removed else "unchanged",
        files_after=month.files - removed + (0 if month.own or not is_due else 1 + (held.status == "stored")),
        rows=held.rows,
        bytes=held.stored_bytes,
        waiting=0 if may_go else len(with_data),
        beside=len(own) - len(replaced),
    )
    return outcome, with_data if may_go and not call.is_dry else []


def _left(month: _Month, why: str) -> tuple[MonthOutcome, list[str]]:
    return month.outcome("left", why=why), []


def _receipts(call: _Call, month: _Month) -> tuple[Receipt | None, list[Receipt]]:
    """The receipt of the month, or None where it is to be merged; and those of its days, in order.

    A month that was merged is merged again only where each day has an object of its own by now, as when all were
    fetched again since it was damaged: what it has of other days is then nowhere replaced while it is in use.
    _Unmergeable where a day has no receipt, or one that states no day as it was published.
    """
    object_id, store = month.object_id, call.zone.store
    found = stored_receipt(store, object_id.folder)
    held = readable(found[1]) if found else None
    if found and (held is None or held.folder != object_id.folder or not held.merged):
        raise _Unmergeable("the receipt of the month cannot be read")
    delivery = object_id.market.delivers_at
    last = min(object_id.period.last_day, delivery.date()) if delivery else object_id.period.last_day
    days, missing, are_all_own, differ = [], [], True, False
    for day in object_id.period.days():
        folder = ObjectId(object_id.dataset, object_id.market, "", Period.of_day(day)).folder
        own = stored_receipt(store, folder) if folder + RECEIPT in month.days.get(folder, ()) else None
        merged = held.of_day(folder) if held else None
        receipt = readable(own[1]) if own else merged
        if own and (receipt is None or receipt.folder != folder):
            raise _Unmergeable(f"the receipt of {day} cannot be read")
        if receipt is None:
            missing += [day] if day <= last else []
            continue
        if receipt.status == "refused":
            raise _Unmergeable(f"the file of {day} was refused")
        if receipt.status == "stored" and receipt.schema_version != SCHEMA_VERSION:
            raise _Unmergeable(f"{day} has an older schema")
        are_all_own, differ = are_all_own and own is not None, differ or (own is not None and receipt != merged)
        days.append(receipt)
    if missing:
        raise _Unmergeable(f"{len(missing)} of its days were never requested, the first is {missing[0]}")
    fault = call.inspector.fault(object_id.folder, held)
    if fault and not are_all_own:
        raise _Unmergeable(f"the month's object {fault}; {remedy(held)}" if held else fault)
    return None if fault or (are_all_own and differ) else held, days


def _merged(call: _Call, object_id: ObjectId, days: Sequence[Receipt]) -> Receipt:
    """The stored receipt of the month, made of the objects of these days."""
    zone, dataset = call.zone, DATASETS[object_id.dataset]
    stored = [day for day in days if day.status == "stored"]
    with TemporaryDirectory(prefix="taker-", dir=call.scratch) as made_in:
        of_day, target = Path(made_in, "day.parquet"), Path(made_in, "data.parquet") if stored else None
        if target is not None:
            rows = ((day.first_day, rows_of_object(_fetched(zone, day, of_day), dataset)) for day in stored)
            counts = write_month(rows, dataset, target)
            wrong = next((day for day in stored if counts[day.first_day] != day.rows), None)
            if wrong is not None:
                raise _Unmergeable(
                    f"{wrong.period} has {counts[wrong.first_day]:,} rows and not {wrong.rows:,} as its receipt states"
                )
        made = receipt_of_month(object_id, days, target, call.now)
        receipt = zone.put(object_id, target, made, replaces_others=True)
    is_as_made = not stored or zone.store.sha256(object_id.data_key) == receipt.stored_sha256
    if not is_as_made or zone.receipt(object_id) != receipt:
        raise StorageError(
            f"{zone.store.url(object_id.data_key)} was not stored as it was made, so that its days stay as they are; "
            "run the same command again"
        )
    return receipt


def _fetched(zone: RawZone, receipt: Receipt, path: Path) -> Path:
    """The stored object, whose bytes are those that its receipt states."""
    if not zone.store.get_file(receipt.folder + DATA, path):
        raise _Unmergeable(f"the object of {receipt.period} is missing")
    if receipt.stored_sha256 and sha256_of(path) != receipt.stored_sha256:
        raise _Unmergeable(f"the object of {receipt.period} has other bytes than its receipt states")
    return path


def _is_in(zone: RawZone, month: Receipt, folder: str) -> bool:
    """Whether the day's own receipt is the one that the month has: since then another may have been stored."""
    own = stored_receipt(zone.store, folder)
    return own is not None and readable(own[1]) == month.of_day(folder)
