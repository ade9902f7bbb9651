"""Rows of spool files: each message of a venue becomes rows of the objects that they belong to.

Belongs here: placing each row on the day of its own time, fitting numbers into the stored types, counting what cannot
be used.
Does not: what a message means (`ingestion.venues`), merging and storing rows (`ingestion.live.seal`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa

from ingestion.decode.contracts import value_fault
from ingestion.domain.arrow import ARROW_TYPES, too_fine
from ingestion.domain.datasets import LARGEST_BASE, LARGEST_VALUE, LIQUIDATIONS, LIVE_TRADES, Column, Dataset
from ingestion.domain.kinds import Kind
from ingestion.domain.markets import ALL_SYMBOLS, ContractType, Market, UnknownMarket
from ingestion.live.spool import (
    MINUTE_NS,
    CoveredMinute,
    DroppedMessages,
    Segment,
    SpoolReader,
    hour_label,
)
from ingestion.raw.receipts import Source
from ingestion.venues import parse_market, venue_of
from ingestion.venues.venue import Event, Liquidation, Malformed

# A venue may repeat old events; none reports future ones. Beyond these limits one of the two clocks is wrong.
_LATEST: Final = timedelta(hours=24)
_EARLIEST: Final = timedelta(minutes=10)
_ROWS_PER_CHUNK: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WIDE: Final = Context(prec=60)
# The average price of a liquidation is a quotient with any number of decimals: rounded, but by no more than this.
_ROUNDED: Final = Decimal("1e-6")
_DAY_OBJECTS: Final = {LIQUIDATIONS.name: LIQUIDATIONS, LIVE_TRADES.name: LIVE_TRADES}
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
class FileRead:
    """What one spool file contributes to one object. `covered`: per hour, the minutes as bits, the first the lowest."""

    segment: Segment
    sha256: str
    size: int
    rows: int = 0
    covered: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    symbols: dict[str, str] = field(default_factory=dict)
    malformed: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unstorable: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    misdated: int = 0
    torn_bytes: int = 0

    @property
    def source(self) -> Source:
        return Source(self.segment.key, self.sha256, self.size, self.rows)


@dataclass
class ObjectRows:
    rows: _Rows
    reads: list[FileRead] = field(default_factory=list)


class SpoolReading:
    """Reads spool files of one venue into the objects that their rows belong to."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        feed = venue_of(venue).feed
        if feed is None:
            raise ValueError(f"{venue} has no feed, so there can be no spool of it")
        self.feed = feed
        self.objects: dict[_Place, ObjectRows] = {}
        self._markets: dict[str, Market | None] = {}

    def read(self, segment: Segment) -> None:
        reader = SpoolReader(segment.path)
        here: dict[_Place, FileRead] = {}
        sha256, size = reader.sha256, reader.size

        def part(dataset: str, symbol: str, day: date) -> tuple[_Rows, FileRead]:
            place = dataset, symbol, day
            into = self.objects.setdefault(place, ObjectRows(_Rows(_DAY_OBJECTS[dataset])))
            if place not in here:
                here[place] = FileRead(segment, sha256, size)
                into.reads.append(here[place])
            return into.rows, here[place]

        # An hour without messages, or one that cannot be read, also belongs to the receipt of its day.
        _, own = part(LIQUIDATIONS.name, ALL_SYMBOLS, date.fromisoformat(segment.hour.partition("T")[0]))
        for record in reader:
            if isinstance(record, CoveredMinute):
                self._note_covered(record, part)
                continue
            if isinstance(record, DroppedMessages):
                # Among them may have been orders.
                own.dropped[hour_label(record.dropped_ns)] += record.messages
                own.lost[hour_label(record.dropped_ns)] += record.messages
                continue
            received_at = _EPOCH + timedelta(microseconds=record.received_ns // 1000)
            try:
                events = list(self.feed.read(record.message))
                rows = [(event, self._storable(event, received_at)) for event in events]
            except Malformed:
                # It may have been an order.
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
        is_venue_wide = minute.dataset == LIQUIDATIONS.name
        for symbol in (ALL_SYMBOLS,) if is_venue_wide else minute.symbols:
            _, read = part(minute.dataset, symbol, date.fromisoformat(hour.partition("T")[0]))
            read.covered[hour] |= 1 << (minute.minute_ns // MINUTE_NS % 60)
            if is_venue_wide and minute.symbols:
                read.symbols[hour] = " ".join(minute.symbols)

    def _storable(self, event: Event, received_at: datetime) -> dict[str, Any] | str:
        """The event as a row, or why it cannot be stored though it is well formed: other events of its message can."""
        try:
            return self._row(event, received_at)
        except _Unstorable as fault:
            return str(fault)

    def _row(self, event: Event, received_at: datetime) -> dict[str, Any]:
        """The event as a row of its dataset. Malformed when it is not one; _Unstorable when a number has more decimals
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
            self._markets[symbol] = _market_of(self.venue, symbol)
        return self._markets[symbol]


def _market_of(venue: str, symbol: str) -> Market | None:
    """The market of a symbol in a message; None when there is none. A market's name becomes part of a key."""
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


_CHECKED: Final[dict[str, list[Column]]] = {
    dataset.name: [column for column in dataset.columns if column.kind is not Kind.FLAG]
    for dataset in _DAY_OBJECTS.values()
}


class _Unstorable(Exception):
    """A well-formed event breaks the contract of its dataset, or a number of it has more decimals than Taker stores."""


def _fitting(row: dict[str, Any], dataset: Dataset, market: Market | None) -> dict[str, Any]:
    """The row with its amounts at the stored decimals. _Unstorable when a value breaks the contract of the dataset, or
    when rounding would change it."""
    for column in _CHECKED[dataset.name]:
        value = row[column.name]
        fault = value_fault(column, value)
        if fault is not None:
            raise _Unstorable(fault)
        if not isinstance(value, Decimal):
            continue
        scale: int = ARROW_TYPES[column.kind].scale
        if _decimals(value) > scale:
            stored = value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)
            allowed = value * _ROUNDED if dataset is LIQUIDATIONS and column.kind is Kind.PRICE else 0
            if abs(stored - value) > allowed:
                raise _Unstorable(f"`{column.name}` {value} {too_fine(ARROW_TYPES[column.kind])}")
            row[column.name] = stored
    # Each may be possible while their product, or quotient, is absurd.
    price, quantity = row["price"], row["quantity"]
    is_inverse = market is not None and market.contract_type is ContractType.INVERSE
    if price * quantity >= LARGEST_VALUE or (is_inverse and quantity >= LARGEST_BASE * price > 0):
        raise _Unstorable(f"`quantity` {quantity} at {price} is too much to be one order")
    return row


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
