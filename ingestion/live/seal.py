"""Sealing: the spool files of hours that have ended become rows of the raw zone, each exactly once.

Belongs here: reading messages into rows, placing each row on the day of its own time, merging with what the day already
holds, receipts, and what becomes of a file afterwards.
Does not: what a message means (`ingestion.venues`), how the spool is written (`ingestion.live.spool`).

The order is what makes a kill harmless: rows are merged by the id of their event, the receipt that names the file is
stored after them, and only when every object has its receipt does the file leave the spool. Whatever is done twice
gives the same object.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.arrow import ARROW_TYPES, LARGEST_VALUE, LIMITS, parquet_writer, too_fine
from ingestion.domain.datasets import LIQUIDATIONS, LIVE_TRADES, Column, Dataset, Kind
from ingestion.domain.markets import ALL_SYMBOLS, ContractType, Market, UnknownMarket
from ingestion.domain.periods import Period
from ingestion.live.spool import (
    SEALED_FOLDER,
    CoveredMinute,
    Segment,
    SpoolReader,
    closed,
    finished_segments,
    hour_label,
)
from ingestion.raw.durable import sync
from ingestion.raw.zone import Defect, ObjectId, RawZone, Receipt, Source
from ingestion.venues import VENUES, parse_market, venue_of
from ingestion.venues.venue import Event, Liquidation, Malformed

# Higher whenever the same files would be read into other rows: what an older one read may then be read anew.
SEAL_VERSION: Final = 3
# A venue may repeat what happened a while ago; no venue tells the future. Beyond, one of the two clocks is wrong.
_LATEST: Final = timedelta(hours=24)
_EARLIEST: Final = timedelta(minutes=10)
# Sealed files stay this long, compressed, in case the reading of them was wrong.
KEEP_SEALED: Final = timedelta(days=30)

_ROWS_PER_CHUNK: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_IDENTITY: Final = {LIQUIDATIONS.name: ("event_id",), LIVE_TRADES.name: ("trade_id",)}
_WIDE: Final = Context(prec=60)
# The average price of a liquidation is a quotient with any number of decimals: rounded, but by no more than this.
_ROUNDED: Final = Decimal("1e-6")
_DAY_OBJECTS: Final = {LIQUIDATIONS.name: LIQUIDATIONS, LIVE_TRADES.name: LIVE_TRADES}


@dataclass(frozen=True)
class FinishedHour:
    """An hour of a venue that can be sealed. `hour`: `2026-11-26T13`. `files`: of the spool; a restart adds one."""

    venue: str
    hour: str
    files: int


@dataclass(frozen=True)
class Sealed:
    """One raw object that sealing wrote. `hours`: spool hours that went in now. `rows`: that the object now holds."""

    venue: str
    dataset: str
    market_id: str
    day: date
    hours: tuple[str, ...]
    rows: int
    torn_bytes: int
    receipt: Receipt


def finished_hours(spool_dir: Path, *, now: datetime) -> list[FinishedHour]:
    """The hours that `seal` would seal, by venue and time; empty when there is nothing to do."""
    found = [segment for segment in finished_segments(spool_dir, now=now) if segment.venue in VENUES]
    hours = Counter((segment.venue, segment.hour) for segment in found)
    return [FinishedHour(venue, hour, files) for (venue, hour), files in sorted(hours.items())]


def heard_venues(spool_dir: Path, zone: RawZone | None = None) -> list[str]:
    """The venues that a collector here has listened to, and those of which liquidations are stored. StorageError."""
    found = {
        path.parent.name for folder in (spool_dir, spool_dir / SEALED_FOLDER) for path in folder.glob("*/*.spool*")
    }
    if zone is not None:
        stored = zone.store.list(f"raw/{LIQUIDATIONS.name}")
        found |= {each.key.split("/")[2].removeprefix("venue=") for each in stored}
    return [venue for venue in VENUES if venue in found]


def seal(spool_dir: Path, zone: RawZone, *, now: datetime) -> list[Sealed]:
    """Seal every finished hour; the objects written, by venue and day. StorageError, OSError.

    Two at once wait for each other. Doing it again, also after a kill at any point, changes nothing.
    """
    if not spool_dir.is_dir():
        return []
    sealed = []
    with _alone(spool_dir):
        by_day: dict[tuple[str, str], list[Segment]] = defaultdict(list)
        finished = [each for each in finished_segments(spool_dir, now=now) if each.venue in VENUES]
        # Files that were put back are read together: an object can hold messages of the hours next to its day.
        put_back = {each.venue for each in finished if _kept(spool_dir, each).exists()}
        for segment in finished:
            day = "" if segment.venue in put_back else segment.hour.partition("T")[0]
            by_day[segment.venue, day].append(closed(segment))
        for (venue, _), files in sorted(by_day.items()):
            with tempfile.TemporaryDirectory(prefix="taker-") as scratch:
                sealed += _seal_files(venue, files, zone, now, Path(scratch))
            for file in files:
                _archive(spool_dir, file)
        _forget_old(spool_dir, now)
    return sealed


@contextmanager
def _alone(spool_dir: Path) -> Iterator[None]:
    with (spool_dir / "seal.lock").open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- reading ---------------------------------------------------------------------------------------------------------

_Place = tuple[str, str, date]  # dataset, symbol (ALL for the whole venue), day


@dataclass
class _Rows:
    """Rows of one object, as Arrow chunks, so that a busy hour does not fill memory with Python objects."""

    dataset: Dataset
    chunks: list[pa.Table] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.waiting.append(row)
        if len(self.waiting) >= _ROWS_PER_CHUNK:
            self.flush()

    def flush(self) -> None:
        if self.waiting:
            self.chunks.append(pa.Table.from_pylist(self.waiting, schema=self.dataset.schema))
            self.waiting = []


@dataclass
class _Read:
    """What one spool file gives to one object."""

    segment: Segment
    sha256: str
    size: int
    rows: int = 0
    covered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    symbols: dict[str, str] = field(default_factory=dict)
    malformed: int = 0
    unstorable: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    misdated: int = 0
    torn_bytes: int = 0

    @property
    def source(self) -> Source:
        return Source(self.segment.key, self.sha256, self.size, self.rows)


@dataclass
class _Object:
    rows: _Rows
    reads: list[_Read] = field(default_factory=list)


class _Reading:
    """Reads spool files of one venue into the objects that their rows belong to."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        feed = venue_of(venue).feed
        if feed is None:
            raise ValueError(f"{venue} has no feed, so there can be no spool of it")
        self.feed = feed
        self.objects: dict[_Place, _Object] = {}
        self._markets: dict[str, Market | None] = {}

    def read(self, segment: Segment) -> None:
        reader = SpoolReader(segment.path)
        here: dict[_Place, _Read] = {}
        sha256, size = reader.sha256, reader.size

        def part(dataset: str, symbol: str, day: date) -> tuple[_Rows, _Read]:
            place = dataset, symbol, day
            into = self.objects.setdefault(place, _Object(_Rows(_DAY_OBJECTS[dataset])))
            if place not in here:
                here[place] = _Read(segment, sha256, size)
                into.reads.append(here[place])
            return into.rows, here[place]

        # An hour that was quiet, or that cannot be read, is a fact about its day too.
        _, own = part(LIQUIDATIONS.name, ALL_SYMBOLS, date.fromisoformat(segment.hour.partition("T")[0]))
        for record in reader:
            if isinstance(record, CoveredMinute):
                self._note_covered(record, part)
                continue
            received_at = _EPOCH + timedelta(microseconds=record.received_ns // 1000)
            try:
                events = list(self.feed.read(record.message))
                rows = [(event, self._storable(event, received_at)) for event in events]
            except Malformed:
                # Nobody knows what it was: perhaps an order.
                own.malformed += 1
                own.lost[hour_label(record.received_ns)] += 1
                continue
            for event, row in rows:
                dataset, symbol, happened_at = _placed(event)
                if isinstance(row, str):
                    hour = hour_label(record.received_ns)
                    _, read = part(dataset, symbol, received_at.date())
                    read.unstorable[hour].append(row)
                    read.lost[hour] += 1
                    continue
                if not -_EARLIEST <= received_at - happened_at <= _LATEST:
                    _, read = part(dataset, symbol, received_at.date())
                    read.misdated += 1
                    read.lost[hour_label(record.received_ns)] += 1
                    continue
                table, read = part(dataset, symbol, happened_at.date())
                table.add(row)
                read.rows += 1
        own.torn_bytes = reader.torn_bytes

    def _note_covered(self, minute: CoveredMinute, part: Any) -> None:
        hour = hour_label(minute.minute_ns)
        whole_venue = minute.dataset == LIQUIDATIONS.name
        for symbol in (ALL_SYMBOLS,) if whole_venue else minute.symbols:
            _, read = part(minute.dataset, symbol, date.fromisoformat(hour.partition("T")[0]))
            read.covered[hour] += 1
            if whole_venue and minute.symbols:
                read.symbols[hour] = " ".join(minute.symbols)

    def _storable(self, event: Event, received_at: datetime) -> dict[str, Any] | str:
        """The event as a row, or why it cannot be stored though it is well formed: the rest of its message can."""
        try:
            return self._row(event, received_at)
        except _Unstorable as fault:
            return str(fault)

    def _row(self, event: Event, received_at: datetime) -> dict[str, Any]:
        """The event as a row of its dataset. Malformed when it is none; _Unstorable when a number has more decimals
        than are stored."""
        market = self._market(event.symbol)
        if isinstance(event, Liquidation):
            row = {
                "symbol_name": event.symbol,
                "liquidated_at": event.liquidated_at,
                "received_at": received_at,
                "is_long_liquidated": event.is_long_liquidated,
                "venue_side": event.venue_side,
                "price": event.price,
                "quantity": event.quantity,
                "original_quantity": event.original_quantity,
                "limit_price": event.limit_price,
                "order_status": event.order_status,
                "event_id": event.event_id,
                "base_asset": market.base_asset if market else "",
                "quote_asset": market.quote_asset if market else "",
                "contract_type": market.contract_type.value if market else "",
                "contract_size": market.contract_size if market else None,
                "base_multiplier": market.base_multiplier if market else None,
            }
            return _fitting(row, LIQUIDATIONS, market)
        if market is None:
            raise Malformed(f"a trade of {event.symbol}, which is no symbol of {self.venue}")
        row = {
            "trade_id": event.trade_id,
            "trade_number": event.number,
            "price": event.price,
            "quantity": event.quantity,
            "normal_quantity": event.normal_quantity,
            "trade_count": event.trade_count,
            "traded_at": event.traded_at,
            "is_taker_buy": event.is_taker_buy,
            "execution": event.execution,
            "received_at": received_at,
        }
        return _fitting(row, LIVE_TRADES, market)

    def _market(self, symbol: str) -> Market | None:
        if symbol not in self._markets:
            self._markets[symbol] = _understood(self.venue, symbol)
        return self._markets[symbol]


def _understood(venue: str, symbol: str) -> Market | None:
    """The market of a symbol that a message names; None when it is none. A market's name becomes part of a key."""
    if symbol == ALL_SYMBOLS or re.fullmatch(r"[\w-]+", symbol) is None:
        return None
    try:
        return parse_market(f"{venue}:{symbol}")
    except UnknownMarket:
        return None


def _placed(event: Event) -> tuple[str, str, datetime]:
    if isinstance(event, Liquidation):
        return LIQUIDATIONS.name, ALL_SYMBOLS, event.liquidated_at
    return LIVE_TRADES.name, event.symbol, event.traded_at


_AMOUNTS: Final[dict[str, list[Column]]] = {
    dataset.name: [column for column in dataset.columns if column.kind in LIMITS] for dataset in _DAY_OBJECTS.values()
}


class _Unstorable(Exception):
    """A number of a well-formed event has more decimals than Taker stores. The limit is ours, not the venue's."""


def _fitting(row: dict[str, Any], dataset: Dataset, market: Market | None) -> dict[str, Any]:
    """The row with its amounts at the stored decimals. Malformed when one is absurd, _Unstorable when it would not be
    what the venue sent any more."""
    for column in _AMOUNTS[dataset.name]:
        value: Decimal | None = row[column.name]
        if value is None:
            continue
        if value >= LIMITS[column.kind]:
            raise Malformed(f"`{column.name}` is too large to be one: {value}")
        scale: int = ARROW_TYPES[column.kind].scale
        if _decimals(value) > scale:
            stored = value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
            allowed = value * _ROUNDED if dataset is LIQUIDATIONS and column.kind is Kind.PRICE else 0
            if abs(stored - value) > allowed:
                raise _Unstorable(f"`{column.name}` {value} {too_fine(ARROW_TYPES[column.kind])}")
            row[column.name] = stored
    # Each may be possible, and their product, or quotient, absurd.
    price, quantity = row["price"], row["quantity"]
    is_inverse = market is not None and market.contract_type is ContractType.INVERSE
    if price * quantity >= LARGEST_VALUE or (is_inverse and quantity >= LARGEST_VALUE * price > 0):
        raise Malformed(f"{quantity} at {price} is too much to be one order")
    return row


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


# ---- writing ---------------------------------------------------------------------------------------------------------


def _seal_files(venue: str, files: Sequence[Segment], zone: RawZone, now: datetime, scratch: Path) -> list[Sealed]:
    reading = _Reading(venue)
    for file in files:
        reading.read(file)
    sealed = []
    for (dataset, symbol, day), found in sorted(reading.objects.items(), key=lambda each: each[0]):
        found.rows.flush()
        market = parse_market(f"{venue}:{symbol}")
        object_id = ObjectId(dataset, market, "", Period.of_day(day))
        receipt = _stored(object_id, found, zone, now, scratch, is_every_order=reading.feed.is_every_order)
        if receipt is not None:
            hours = tuple(sorted({read.segment.hour for read in found.reads}))
            torn = sum(read.torn_bytes for read in found.reads)
            sealed.append(Sealed(venue, dataset, market.market_id, day, hours, receipt.rows, torn, receipt))
    return sealed


def _stored(
    object_id: ObjectId, found: _Object, zone: RawZone, now: datetime, scratch: Path, *, is_every_order: bool
) -> Receipt | None:
    """Merge into the day's object; None when all of it was there already."""
    held = zone.heard_receipt(object_id)
    known = {(source.key, source.sha256) for source in held.sources} if held else set()
    if held and held.decoder_version != SEAL_VERSION and known <= {_identity(read.source) for read in found.reads}:
        held, known = None, set()  # all that an older version read is here again: the object is made from it anew
    new = [read for read in found.reads if _identity(read.source) not in known]
    if not new:
        return None
    dataset = found.rows.dataset
    before = [zone.rows(object_id)] if held else []
    table = _merged(pa.concat_tables([dataset.schema.empty_table(), *before, *found.rows.chunks]), dataset)
    target = scratch / "data.parquet"
    with parquet_writer(dataset.schema, target) as writer:
        writer.write_table(table)
    sources = (*(held.sources if held else ()), *(read.source for read in new))
    times = pc.min_max(table[dataset.time_column]).as_py()
    start = held or Receipt(
        dataset=object_id.dataset,
        venue=object_id.market.venue,
        symbol=object_id.market.symbol,
        interval="",
        period=object_id.period.label,
        status="stored",
        first_day=object_id.period.first_day,
        last_day=object_id.period.last_day,
        known_at=now,
        decoder_version=SEAL_VERSION,
    )
    receipt = replace(
        start,
        known_at=now,
        rows=table.num_rows,
        stored_bytes=target.stat().st_size,
        day_rows={object_id.period.label: table.num_rows},
        duplicate_rows=sum(source.rows for source in sources) - table.num_rows,
        min_at=times["min"],
        max_at=times["max"],
        sources=sources,
        stored_sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        # Each minute is in one file only.
        covered_minutes=_added(start.covered_minutes, [read.covered for read in new], at_most=60),
        lost_messages=_added(start.lost_messages, [read.lost for read in new]),
        is_every_order=is_every_order,
        heard_symbols=_heard_symbols(start.heard_symbols, [read.symbols for read in new]),
        malformed_messages=start.malformed_messages + sum(read.malformed for read in new),
        misdated_rows=start.misdated_rows + sum(read.misdated for read in new),
        torn_bytes=start.torn_bytes + sum(read.torn_bytes for read in new),
        defects=(*start.defects, *(defect for read in new for defect in _set_aside(read, object_id.period))),
    )
    return zone.put(object_id, target, receipt)


def _set_aside(read: _Read, period: Period) -> list[Defect]:
    """One defect for each hour in which events were received that cannot be stored."""
    return [
        Defect("quarantined_rows", faults[0], period.first_day, hour, len(faults), read.segment.key, read.sha256)
        for hour, faults in sorted(read.unstorable.items())
    ]


def _merged(table: pa.Table, dataset: Dataset) -> pa.Table:
    """One row per event, the first that reached us, in the order of time."""
    identity = _IDENTITY[dataset.name]
    by_event = table.sort_by([*((name, "ascending") for name in identity), ("received_at", "ascending")])
    if by_event.num_rows > 1:
        same = pa.chunked_array([[False]], pa.bool_())
        names = by_event.select(list(identity))
        later, earlier = names.slice(1), names.slice(0, by_event.num_rows - 1)
        equal = [pc.equal(later[name], earlier[name]) for name in identity]
        repeats = equal[0]
        for each in equal[1:]:
            repeats = pc.and_(repeats, each)
        is_repeat = pa.chunked_array([*same.chunks, *_chunks(repeats)])
        by_event = by_event.filter(pc.invert(is_repeat))
    return by_event.sort_by([(dataset.time_column, "ascending"), *((name, "ascending") for name in identity)])


def _chunks(values: Any) -> list[pa.Array]:
    return list(values.chunks) if isinstance(values, pa.ChunkedArray) else [values]


def _identity(source: Source) -> tuple[str, str]:
    return source.key, source.sha256


def _added(held: Any, found: Sequence[dict[str, int]], at_most: int | None = None) -> dict[str, int]:
    """Counts per hour, of all files together."""
    total: dict[str, int] = defaultdict(int, held)
    for counts in found:
        for hour, count in counts.items():
            total[hour] += count
    return {hour: count if at_most is None else min(count, at_most) for hour, count in sorted(total.items())}


def _heard_symbols(held: Any, found: Sequence[dict[str, str]]) -> dict[str, str]:
    """Symbols per hour: those that every file of the hour listened to, `-` when there is none."""
    merged: dict[str, str] = dict(held)
    for heard in found:
        for hour, symbols in heard.items():
            both = set(symbols.split()) & set(merged.get(hour, symbols).split())
            merged[hour] = " ".join(sorted(both)) or "-"
    return dict(sorted(merged.items()))


# ---- afterwards ------------------------------------------------------------------------------------------------------


def _archive(spool_dir: Path, file: Segment) -> None:
    """Move a sealed file away from the spool, compressed. A kill in between leaves it to be sealed again."""
    target = _kept(spool_dir, file)
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".{file.name}.{os.getpid()}"
    with file.path.open("rb") as raw, pa.CompressedOutputStream(str(staged), "zstd") as packed:
        while block := raw.read(1 << 20):
            packed.write(block)
    sync(staged)
    os.replace(staged, target)
    for each in (folder, folder.parent, spool_dir):
        sync(each)
    file.path.unlink()


def _kept(spool_dir: Path, file: Segment) -> Path:
    return spool_dir / SEALED_FOLDER / file.venue / f"{file.name}.zst"


def _forget_old(spool_dir: Path, now: datetime) -> None:
    oldest = f"{now - KEEP_SEALED:%Y-%m-%dT%H}"
    for path in (spool_dir / SEALED_FOLDER).glob("*/*.spool.zst"):
        if path.name.partition(".")[0] < oldest:
            path.unlink()
