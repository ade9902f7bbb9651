"""The writer of raw Parquet, and the facts about the rows that it writes.

Belongs here: encodings, row groups, counts by day, facts about each day of trades.
Does not: which rows there are and in which order (`ingestion.decode.order`), where the file is stored
(`ingestion.raw`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.decode.contracts import TotalCheck, extremes
from ingestion.decode.memory import integers
from ingestion.decode.quarantine import Quarantined
from ingestion.domain.datasets import FLOW_DATASETS, Dataset
from ingestion.domain.markets import ContractType
from ingestion.venues.venue import Layout

# Of every row group but the last: the same rows give the same bytes, in whichever blocks they are read. Larger groups
# make files no smaller, and twice as much memory is touched to write them.
ROW_GROUP: Final = 1 << 17
# In the quote asset: older files print the product of price and quantity with two decimals.
NOTIONAL_TOLERANCE: Final = 0.01
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class DayFacts:
    """Facts about the stored trades of one UTC day, to judge whether they can be those of a market.

    `buyer_maker_rows`: rows with `is_buyer_maker` true. Prices and quantities in the file's own units. `min_at` and
    `max_at`: first and last time of the day's rows. `notional_mismatches`: rows whose `venue_notional` differs from
    what price, quantity and contract size give by more than a thousandth and by more than `NOTIONAL_TOLERANCE` (0.01
    of the quote asset, whichever asset the file prints); None where the file has no such column, or where the
    contract's size is unknown.
    """

    rows: int
    buyer_maker_rows: int
    min_price: Decimal
    max_price: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_at: datetime
    max_at: datetime
    notional_mismatches: int | None = None

    def joined(self, other: DayFacts) -> DayFacts:
        """The facts of both together, of one day."""
        known = self.notional_mismatches is not None and other.notional_mismatches is not None
        return DayFacts(
            rows=self.rows + other.rows,
            buyer_maker_rows=self.buyer_maker_rows + other.buyer_maker_rows,
            min_price=min(self.min_price, other.min_price),
            max_price=max(self.max_price, other.max_price),
            min_quantity=min(self.min_quantity, other.min_quantity),
            max_quantity=max(self.max_quantity, other.max_quantity),
            min_at=min(self.min_at, other.min_at),
            max_at=max(self.max_at, other.max_at),
            notional_mismatches=(self.notional_mismatches or 0) + (other.notional_mismatches or 0) if known else None,
        )


@dataclass
class Decoded:
    """The counts of one decoding, over all source files of the object.

    `rows`: stored rows. `source_rows`: rows of each source file, those set aside included. `day_rows`: stored rows by
    UTC day. `id_gaps`: ids missing between first and last. `out_of_order_rows`: kept rows that stood after a higher id
    (or a later time, where there is no id). `day_facts`: of trades datasets, by UTC day with stored rows.
    `quarantined`: rows set aside, by source, hour and reason.
    """

    rows: int = 0
    source_rows: list[int] = field(default_factory=list)
    day_rows: dict[date, int] = field(default_factory=dict)
    zero_rows: int = 0
    duplicate_rows: int = 0
    out_of_order_rows: int = 0
    id_gaps: int = 0
    first_id: int | None = None
    last_id: int | None = None
    min_at: datetime | None = None
    max_at: datetime | None = None
    day_facts: dict[date, DayFacts] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()


# A table of rows to write, or, last of all, the counts.
Item: TypeAlias = "pa.Table | Decoded"


def parquet_writer(schema: pa.Schema, target: Path) -> pq.ParquetWriter:
    """Dictionaries for repeated values (prices, sizes, text), deltas for values that grow in small steps, zstd for all.
    Statistics for the latter alone: readers skip row groups by time and id, and those of decimals take a sixth of the
    time of writing.

    Measured on a million trades: decimals of 38 digits in a dictionary are written as fast as 64-bit ones in deltas,
    and take half the space.
    """
    kinds = (pa.types.is_int64, pa.types.is_timestamp, pa.types.is_date32)
    growing = [field.name for field in schema if any(is_kind(field.type) for is_kind in kinds)]
    dictionary = [field.name for field in schema if pa.types.is_decimal(field.type) or pa.types.is_string(field.type)]
    return pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionary,
        column_encoding=dict.fromkeys(growing, "DELTA_BINARY_PACKED"),
        write_page_index=False,
        write_statistics=growing,
    )


def write_rows(
    items: Iterable[Item], dataset: Dataset, layout: Layout | None, target: Path, where: str = ""
) -> Decoded:
    """Write the tables among `items` to `target`, and complete the counts, which come last.

    The one writer of raw Parquet. The same rows give the same bytes. `where` names the rows' origin in the
    ContractViolation of trades that add up to more than a bar can hold.
    """
    found = Decoded()
    counts = _Counts(dataset, layout, where)
    pending: list[pa.Table] = []
    with parquet_writer(dataset.schema, target) as writer:

        def write(rows: pa.Table) -> None:
            counts.add(rows)
            writer.write_table(rows, row_group_size=ROW_GROUP)

        for item in items:
            if isinstance(item, Decoded):
                found = item
                continue
            pending.append(item)
            if sum(table.num_rows for table in pending) >= ROW_GROUP:
                rows = pa.concat_tables(pending)
                for first in range(0, rows.num_rows - ROW_GROUP + 1, ROW_GROUP):
                    write(rows.slice(first, ROW_GROUP))
                rest = rows.num_rows % ROW_GROUP
                pending = [rows.slice(rows.num_rows - rest)] if rest else []
        if pending:
            write(pa.concat_tables(pending))
    counts.complete(found)
    return found


class _Counts:
    """What the rows that are written add up to, by day and in total; it is cheap to add many at once."""

    def __init__(self, dataset: Dataset, layout: Layout | None, where: str) -> None:
        self._dataset, self._layout = dataset, layout
        self._total = TotalCheck(where) if dataset.is_trades else None
        self._day_rows: dict[date, int] = {}
        self._day_facts: dict[date, DayFacts] = {}
        self._times: list[datetime] = []

    def add(self, rows: pa.Table) -> None:
        """ContractViolation for trades that, with those added before, are more than a bar can hold."""
        if not rows.num_rows:
            return
        bounds = _bounds(rows, self._dataset)
        if self._total is not None:
            self._total.add(rows, bounds["price"][1], bounds["quantity"][1])
        times = bounds[self._dataset.time_column]
        self._times += times
        days, counts = _days_of(rows, self._dataset, *times)
        for day, count in counts.items():
            self._day_rows[day] = self._day_rows.get(day, 0) + count
            if self._layout is not None and self._dataset.name in FLOW_DATASETS:
                of_day, own = rows, bounds
                if len(counts) > 1:
                    of_day = rows.filter(pa.array(days == day.toordinal() - _EPOCH_DAY))
                    own = _bounds(of_day, self._dataset)
                facts = _facts(of_day, self._dataset, self._layout, own)
                held = self._day_facts.get(day)
                self._day_facts[day] = held.joined(facts) if held is not None else facts

    def complete(self, found: Decoded) -> None:
        found.rows, found.day_rows = sum(self._day_rows.values()), dict(sorted(self._day_rows.items()))
        found.min_at, found.max_at = min(self._times, default=None), max(self._times, default=None)
        found.day_facts = dict(sorted(self._day_facts.items()))


def _bounds(rows: pa.Table, dataset: Dataset) -> dict[str, tuple[Any, Any]]:
    """The least and the largest time of the rows, at least one, and of trades their prices and quantities."""
    names = [dataset.time_column, *(("price", "quantity") if dataset.is_trades else ())]
    found = {name: extremes(rows.column(name)) for name in names}
    return {name: ends for name, ends in found.items() if ends is not None}


def _days_of(rows: pa.Table, dataset: Dataset, first: datetime, last: datetime) -> tuple[Any, dict[date, int]]:
    """The UTC day of each row, in days since the epoch, and how many rows each day has. `first` and `last`: the bounds
    of their times; where those are of one day, as they nearly always are, no row is looked at, and the former is None.
    """
    earliest, latest = ((at + dataset.jitter).date() for at in (first, last))
    if earliest == latest:
        return None, {earliest: rows.num_rows}
    micros = integers(rows.column(dataset.time_column))
    days = (micros + dataset.jitter // timedelta(microseconds=1)) // 86_400_000_000
    numbers, counts = np.unique(days, return_counts=True)
    return days, {date.fromordinal(_EPOCH_DAY + int(n)): int(count) for n, count in zip(numbers, counts, strict=True)}


def _facts(trades: pa.Table, dataset: Dataset, layout: Layout, bounds: Mapping[str, tuple[Any, Any]]) -> DayFacts:
    (lowest, highest), (least, most), (first, last) = (
        bounds[name] for name in ("price", "quantity", dataset.time_column)
    )
    return DayFacts(
        rows=trades.num_rows,
        buyer_maker_rows=pc.sum(trades.column("is_buyer_maker")).as_py(),
        min_price=lowest,
        max_price=highest,
        min_quantity=least,
        max_quantity=most,
        min_at=first,
        max_at=last,
        notional_mismatches=_notional_mismatches(trades, layout),
    )


def _notional_mismatches(trades: pa.Table, layout: Layout) -> int | None:
    """Rows whose notional is not what price and quantity give. In floats: nothing of the comparison is stored."""
    if layout.contract_type is None or layout.contract_size is None or "venue_notional" not in trades.column_names:
        return None
    names = ("price", "quantity", "venue_notional")
    price, quantity, printed = (trades.column(name).cast(pa.float64()).to_numpy() for name in names)
    size = float(layout.contract_size)
    if layout.contract_type is ContractType.LINEAR:
        expected, in_quote = price * quantity * size, 1.0
    else:
        expected, in_quote = quantity * size / price, price
    difference = np.abs(printed - expected)
    return int(((difference > 1e-3 * expected) & (difference * in_quote > NOTIONAL_TOLERANCE)).sum())
