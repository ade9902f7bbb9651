"""Bytes become typed rows: one packed CSV in, one ordered Parquet file out.

Belongs here: inflating, parsing by rule, ordering, setting rows aside, dropping and counting, Parquet encoding. Types
are given, never inferred, and decimals never pass through a float. Rules look at the data, not at the calendar: a
number in the first row means no header row, a time of 10^15 or more is microseconds.
Does not: fetching, naming, or which file belongs to what (`ingestion.archive`).

A file whose rows come in id order, as nearly all do, streams through in blocks, so memory does not grow with the file.
Held whole, to be sorted, are a file that breaks the order and one whose rows the venue does not number: their place in
the day is known only once all of them are.

A file is first read as one whose every row is well, which is fast. Where that fails, it is read again as text, every
row is judged by itself, and what cannot be used of it is set aside (`ingestion.decode.quarantine`).
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import isal.isal_zlib as fast_zlib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from isal import igzip

from ingestion.decode.contracts import ContractCheck, bounds_of, largest, row_faults, shown, too_large
from ingestion.decode.quarantine import Fault, Quarantined, QuarantineFile, RowSetAside, Tally
from ingestion.domain.arrow import INSTANT, ROW_GROUP, parquet_writer, too_fine
from ingestion.domain.datasets import FLOW_DATASETS, Dataset
from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.domain.markets import ContractType
from ingestion.domain.periods import Period
from ingestion.venues.venue import Layout, SourceColumn

# Part of every receipt: a higher number makes stored objects be decoded again from their source.
DECODER_VERSION: Final = 2

_MICROSECONDS_FROM: Final = 10**15
_CSV_BLOCK: Final = 2 << 20
_TRUE: Final = ("true", "True", "TRUE", "1")
_FALSE: Final = ("false", "False", "FALSE", "0")
# In the quote asset: older files print the product of price and quantity with two decimals.
NOTIONAL_TOLERANCE: Final = 0.01
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_FIGURE: Final = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)
_TEXT_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)?", re.ASCII)
# What stands for "no value" in a column that may be empty.
_NO_VALUE: Final = frozenset(
    ["nan", "null", "none", *(sign + word for sign in ("", "-", "+") for word in ("inf", "infinity"))]
)
# Digits of the longest number that is looked at: more than any stored type has.
_EXACT: Final = Context(prec=400, rounding=ROUND_HALF_EVEN)
_LONGEST_NUMBER: Final = 150
# Values that are parsed one by one rather than by halves.
_FEW: Final = 16
# Rows of a wrong number of columns in succession after which a file is given up.
_MOST_MISSHAPEN: Final = 1_000_000
# A row's origin in one number: the place of its source, and its own number in it.
_PER_SOURCE: Final = 1 << 40
_CARRIED: Final = -1


@dataclass(frozen=True)
class SourceFile:
    """One verified file on disk, where it came from, and the period its rows must lie in.

    `holds`, `is_shared`: as in `SourceObject`: what else the file rightly holds, which is left out.
    """

    path: Path
    key: str
    period: Period
    holds: tuple[datetime, datetime] | None = None
    is_shared: bool = False


@dataclass(frozen=True)
class DayFacts:
    """What the stored rows of one UTC day of trades look like, for judging whether they can be a market's.

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
    """What was found on the way. Counts are over all source files of the object.

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


class _OutOfOrder(Exception):
    """The rows of a file do not come in strictly increasing id order: it must be sorted whole."""


class _Faulty(Exception):
    """Something of a file is not as it must be: every row of it has to be judged by itself."""


def decode(
    sources: Sequence[SourceFile],
    dataset: Dataset,
    layout: Layout,
    target: Path,
    carried: pa.Table | None = None,
    quarantine: Path | None = None,
) -> Decoded:
    """Write the rows of `sources` to the Parquet file `target`, in id order (time order where there is no id).

    `carried`: rows stored earlier, with the dataset's schema, that no source holds any more and that stay.

    `quarantine`: the Parquet file to write rows to that cannot be used; there is none when there are no such rows.

    Raises SourceDefect or ContractViolation for a file of which nothing can be trusted: damaged, without a column, or
    with more than half of its rows unreadable or in breach of the contract; then neither file exists. The same input
    gives the same bytes.
    """
    aside = QuarantineFile(quarantine)
    streams = dataset.id_column is not None and not layout.numbers_rows and len(sources) == 1 and carried is None
    try:
        try:
            if streams:
                try:
                    return _write(_stream(sources[0], dataset, layout), dataset, layout, target)
                except _OutOfOrder:
                    streams = False
            return _write(_sorted_whole(sources, dataset, layout, carried), dataset, layout, target)
        except _Faulty:
            pass
        if streams:
            try:
                return _write(_stream_of_good_rows(sources[0], dataset, layout, aside), dataset, layout, target)
            except _OutOfOrder:
                aside.close()
        return _write(_sorted_whole(sources, dataset, layout, carried, aside), dataset, layout, target)
    except BaseException:
        aside.close()
        for path in (target, quarantine):
            if path is not None:
                path.unlink(missing_ok=True)
        raise
    finally:
        aside.close()


# A table of rows to write, or, last of all, the counts.
_Item: TypeAlias = "pa.Table | Decoded"


def _stream(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[_Item]:
    """Tables of ordered rows as they are read, then the counts.

    `_OutOfOrder` when the file is not in id order, `_Faulty` when a row of it is not as it must be.
    """
    found = Decoded()
    order = _IdOrder(dataset)
    for table in _typed_batches(source, dataset, layout):
        found.rows += table.num_rows
        wanted = _of_period(table, source, dataset)
        if wanted.num_rows:
            order.add(wanted)
            yield _without_zero_rows(wanted, dataset, found)
    found.source_rows = [found.rows]
    order.complete(found)
    yield found


def _stream_of_good_rows(
    source: SourceFile, dataset: Dataset, layout: Layout, aside: QuarantineFile
) -> Iterator[_Item]:
    """As `_stream`, of a file with rows that are not as they must be: those go aside."""
    found = Decoded()
    order = _IdOrder(dataset)
    tally = Tally(source.key, source.period, is_cut_elsewhere=source.holds is not None)
    rows, first_at = 0, None
    for block in _judged_blocks(source, dataset, layout):
        rows, first_at = rows + block.row_count, block.first_at
        tally.add(block.set_aside)
        aside.add(source.key, filter(tally.counts, block.set_aside))
        if block.good.num_rows:
            order.add(block.good)
            yield _without_zero_rows(block.good, dataset, found)
    found.quarantined = tally.finish(rows, first_at)
    found.source_rows = [rows]
    order.complete(found)
    yield found


class _IdOrder:
    """The ids of tables that follow each other: strictly increasing, else `_OutOfOrder`; and how many are missing."""

    def __init__(self, dataset: Dataset) -> None:
        self._name = dataset.id_column
        self._first: int | None = None
        self._last: int | None = None
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        ids = table.column(self._name).to_numpy()
        if (np.diff(ids) <= 0).any() or (self._last is not None and ids[0] <= self._last):
            raise _OutOfOrder
        self._first = int(ids[0]) if self._first is None else self._first
        self._last = int(ids[-1])
        self._rows += len(ids)

    def complete(self, found: Decoded) -> None:
        found.first_id, found.last_id = self._first, self._last
        if self._first is not None and self._last is not None:
            found.id_gaps = self._last - self._first + 1 - self._rows


def _sorted_whole(
    sources: Sequence[SourceFile],
    dataset: Dataset,
    layout: Layout,
    carried: pa.Table | None,
    aside: QuarantineFile | None = None,
) -> Iterator[_Item]:
    """All rows of all sources as one sorted table without duplicates, then the counts.

    Without `aside`, `_Faulty` when a row is not as it must be, or two rows contradict each other; with it, those rows
    go aside.
    """
    found = Decoded()
    schema = _read_schema(dataset, layout)
    tables = [schema.empty_table() if carried is None else carried]
    origins = [np.full(tables[0].num_rows, _CARRIED)]
    for place, source in enumerate(sources):
        rows = 0
        if aside is None:
            for table in _typed_batches(source, dataset, layout):
                tables.append(_of_period(table, source, dataset))
                rows += table.num_rows
        else:
            tally = Tally(source.key, source.period, is_cut_elsewhere=source.holds is not None)
            first_at = None
            for block in _judged_blocks(source, dataset, layout):
                tables.append(block.good)
                origins.append(place * _PER_SOURCE + block.good_numbers)
                tally.add(block.set_aside)
                rows, first_at = rows + block.row_count, block.first_at
            tally.finish(rows, first_at)
        found.source_rows.append(rows)
    table = pa.concat_tables(tables)
    del tables
    order_by = (None if layout.numbers_rows else dataset.id_column) or dataset.time_column
    # Every column takes part, so that equal rows stand side by side and the same rows always give the same bytes.
    names = [order_by, *(name for name in schema.names if name != order_by)]
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names]).to_numpy()
    ordered = table.take(pa.array(order))
    del table
    repeated = _repeats(ordered)
    contradictions: dict[int, list[Fault]] = {}
    keys = [order_by] if order_by == dataset.id_column or dataset.one_per_time else []
    for name in [*keys, *([layout.identity] if layout.identity is not None else [])]:
        clashing = _clashing(ordered.column(name), repeated)
        if not clashing.any():
            continue
        if aside is None:
            raise _Faulty
        label = f"`{name}` is that of several rows with different contents"
        places = np.concatenate(origins)[order[clashing]]
        values = ordered.column(name).filter(pa.array(clashing))
        if (places == _CARRIED).any():
            where = " and ".join(source.key for source in sources)
            raise ContractViolation(where, [f"{label}, one of them stored earlier: `{shown(values[0])}`"])
        for origin, value in zip(places.tolist(), values, strict=True):
            contradictions.setdefault(origin, []).append(Fault(label, shown(value), is_unreadable=False))
    if aside is not None:
        found.quarantined = _set_aside(sources, dataset, layout, contradictions, aside)
    if contradictions:
        well = ~np.isin(np.concatenate(origins)[order], list(contradictions))
        order, repeated, ordered = order[well], repeated[well], ordered.filter(pa.array(well))
    found.duplicate_rows = int(repeated.sum())
    kept = ordered.filter(pa.array(~repeated)) if found.duplicate_rows else ordered
    del ordered
    # In file order again, without the duplicates: who stands behind a higher one?
    in_file = _as_integers(kept.column(order_by))[np.argsort(order[~repeated])]
    if len(in_file):
        found.out_of_order_rows = int((in_file < np.maximum.accumulate(in_file)).sum())
    if layout.identity is not None:
        kept = kept.drop_columns(layout.identity)
    if layout.numbers_rows:
        place = kept.schema.get_field_index(dataset.id_column)
        numbers = pa.array(np.arange(1, kept.num_rows + 1))
        kept = kept.set_column(place, kept.schema.field(place), numbers)
    if dataset.id_column is not None and kept.num_rows:
        ids = kept.column(dataset.id_column).to_numpy()
        found.first_id, found.last_id = int(ids[0]), int(ids[-1])
        found.id_gaps = found.last_id - found.first_id + 1 - len(ids)
    yield _without_zero_rows(kept, dataset, found)
    yield found


def _set_aside(
    sources: Sequence[SourceFile],
    dataset: Dataset,
    layout: Layout,
    contradictions: Mapping[int, Sequence[Fault]],
    aside: QuarantineFile,
) -> tuple[Quarantined, ...]:
    """Write the rows of all sources that are not used, and count them. `contradictions`: by source and row number."""
    found: list[Quarantined] = []
    for place, source in enumerate(sources):
        first = place * _PER_SOURCE
        own = {n - first: faults for n, faults in contradictions.items() if first <= n < first + _PER_SOURCE}
        tally = Tally(source.key, source.period, is_cut_elsewhere=source.holds is not None)
        rows, first_at = 0, None
        for block in _judged_blocks(source, dataset, layout, own):
            tally.add(block.set_aside)
            aside.add(source.key, filter(tally.counts, block.set_aside))
            rows, first_at = rows + block.row_count, block.first_at
        found += tally.finish(rows, first_at)
    return tuple(found)


def _clashing(values: pa.ChunkedArray, repeated: Any) -> Any:
    """Boolean array over ordered rows: the value is that of another row too, with different contents."""
    distinct = values.filter(pa.array(~repeated))
    if pc.count_distinct(distinct).as_py() == len(distinct):
        return np.zeros(len(values), dtype=bool)
    counts = pc.value_counts(distinct)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    return pc.is_in(values, value_set=twice).to_numpy()


def _repeats(ordered: pa.Table) -> Any:
    """Boolean array: row n equals row n − 1 in every column (an empty value equals an empty value)."""
    repeated = np.zeros(ordered.num_rows, dtype=bool)
    if ordered.num_rows < 2:
        return repeated
    same = np.ones(ordered.num_rows - 1, dtype=bool)
    for column in ordered.columns:
        values = column.combine_chunks()
        here, before = values.slice(1), values.slice(0, len(values) - 1)
        equal = pc.fill_null(pc.equal(here, before), False)
        both_empty = pc.and_(pc.is_null(here), pc.is_null(before))
        same &= pc.or_(equal, both_empty).to_numpy(zero_copy_only=False)
    repeated[1:] = same
    return repeated


def _as_integers(values: Any) -> Any:
    return (values.cast(pa.int64()) if values.type == INSTANT else values).to_numpy()


def _without_zero_rows(table: pa.Table, dataset: Dataset, found: Decoded) -> pa.Table:
    """Drop rows with a zero price or quantity (a known defect of the venue's files), and count them."""
    if not dataset.positive:
        return table
    keep = None
    for name in dataset.positive:
        values = table.column(name)
        nonzero = pc.not_equal(values, pa.scalar(0, type=values.type))
        keep = nonzero if keep is None else pc.and_(keep, nonzero)
    dropped = table.num_rows - (pc.sum(keep).as_py() or 0)
    if not dropped:
        return table
    found.zero_rows += dropped
    return table.filter(keep)


def _write(items: Iterable[_Item], dataset: Dataset, layout: Layout | None, target: Path) -> Decoded:
    """Write the tables among `items` and complete the counts, which come last."""
    found = Decoded()
    rows = 0
    day_rows: dict[date, int] = {}
    day_facts: dict[date, DayFacts] = {}
    earliest = latest = None
    pending: list[pa.Table] = []

    with parquet_writer(dataset.schema, target) as writer:
        for item in items:
            if isinstance(item, Decoded):
                found = item
                continue
            pending.append(item)
            rows += item.num_rows
            if item.num_rows:
                times = item.column(dataset.time_column)
                bounds = pc.min_max(times).as_py()
                earliest = min(earliest or bounds["min"], bounds["min"])
                latest = max(latest or bounds["max"], bounds["max"])
                for day, of_day in _by_day(item, dataset):
                    day_rows[day] = day_rows.get(day, 0) + of_day.num_rows
                    if layout is not None and dataset.name in FLOW_DATASETS:
                        facts = _facts(of_day, dataset, layout)
                        day_facts[day] = day_facts[day].joined(facts) if day in day_facts else facts
            if sum(t.num_rows for t in pending) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(pending), row_group_size=ROW_GROUP)
                pending.clear()
        if pending:
            writer.write_table(pa.concat_tables(pending), row_group_size=ROW_GROUP)
    found.rows, found.day_rows, found.min_at, found.max_at = rows, dict(sorted(day_rows.items())), earliest, latest
    found.day_facts = dict(sorted(day_facts.items()))
    return found


def _by_day(rows: pa.Table, dataset: Dataset) -> Iterator[tuple[date, pa.Table]]:
    """The rows by UTC day; one day, as in nearly every table, costs no copy."""
    micros = rows.column(dataset.time_column).cast(pa.int64()).to_numpy()
    days = (micros + dataset.jitter // timedelta(microseconds=1)) // 86_400_000_000
    distinct = days[:1] if days.min() == days.max() else np.unique(days)
    for day in distinct:
        of_day = rows if len(distinct) == 1 else rows.filter(pa.array(days == day))
        yield date.fromordinal(date(1970, 1, 1).toordinal() + int(day)), of_day


def _facts(trades: pa.Table, dataset: Dataset, layout: Layout) -> DayFacts:
    price, quantity, at = (
        pc.min_max(trades.column(name)).as_py() for name in ("price", "quantity", dataset.time_column)
    )
    return DayFacts(
        rows=trades.num_rows,
        buyer_maker_rows=pc.sum(trades.column("is_buyer_maker")).as_py(),
        min_price=price["min"],
        max_price=price["max"],
        min_quantity=quantity["min"],
        max_quantity=quantity["max"],
        min_at=at["min"],
        max_at=at["max"],
        notional_mismatches=_notional_mismatches(trades, layout),
    )


def _notional_mismatches(trades: pa.Table, layout: Layout) -> int | None:
    """Rows whose notional is not what price and quantity give. In floats: a comparison that nothing is stored of."""
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


def _read_schema(dataset: Dataset, layout: Layout) -> pa.Schema:
    """What is read of a file: the dataset's columns, and last what tells its rows apart, where that is not stored."""
    schema = dataset.schema
    return schema if layout.identity is None else schema.append(pa.field(layout.identity, pa.string()))


def _typed_batches(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[pa.Table]:
    """The file's rows in file order, with `_read_schema`, block by block. Rows to be numbered have 0 for an id."""
    with _csv_text(source, layout) as text:
        names = _column_names(text, source, layout)
        _check_shared(names, source, layout)
        if not text.peek(1):
            return
        true_values, false_values = _words(layout)
        types = _source_types(dataset, layout)
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names, block_size=_CSV_BLOCK),
                # A quote that is never closed would swallow rows: a file with quotes around values is read as text.
                parse_options=pacsv.ParseOptions(quote_char=False),
                convert_options=pacsv.ConvertOptions(
                    column_types=types,
                    include_columns=[name for name in names if name in types],
                    null_values=["", '""'],
                    strings_can_be_null=True,
                    true_values=true_values,
                    false_values=false_values,
                ),
            )
            for batch in reader:
                own = _of_symbol(batch, source, layout)
                if own.num_rows:
                    table = _stored(own, dataset, layout)
                    if any(True for _ in row_faults(table, dataset, source.period, source.holds)):
                        raise _Faulty
                    yield table
        except pa.ArrowInvalid as error:
            raise _Faulty from error


def _check_shared(names: Sequence[str], source: SourceFile, layout: Layout) -> None:
    """A file of several symbols is of use only where its rows say whose they are."""
    if source.is_shared and not any(c.must_equal is not None and c.name in names for c in layout.columns):
        raise ContractViolation(source.key, ["it holds several symbols and has no column that says which row is whose"])


def _of_symbol(batch: pa.RecordBatch, source: SourceFile, layout: Layout) -> pa.RecordBatch:
    """Of a file that several symbols share, the rows of the file's own, without the column that names it."""
    for column in layout.columns if source.is_shared else ():
        if column.must_equal is not None and column.name in batch.schema.names:
            own = pc.fill_null(pc.equal(batch.column(column.name).cast(pa.string()), column.must_equal), False)
            batch = batch.filter(own).drop_columns([column.name])
    return batch


def _of_period(table: pa.Table, source: SourceFile, dataset: Dataset) -> pa.Table:
    """The rows of the wanted period, where the file holds others as well: those are another object's."""
    return table if source.holds is None else table.filter(_is_wanted(table, source, dataset))


def _is_wanted(table: pa.Table, source: SourceFile, dataset: Dataset) -> Any:
    times = table.column(dataset.time_column)
    first, end = (pa.scalar(at, type=times.type) for at in (source.period.starts_at, source.period.ends_at))
    return pc.and_(pc.greater_equal(times, first), pc.less(times, end))


def _words(layout: Layout) -> tuple[list[str], list[str]]:
    """What means true in the file, and what means false: the layout's own words where it has any."""
    own = [column for column in layout.columns if column.true_when is not None]
    true_words = [column.true_when for column in own if column.true_when is not None]
    false_words = [column.false_when for column in own if column.false_when is not None]
    return (true_words, false_words) if own else (list(_TRUE), list(_FALSE))


def _source_types(dataset: Dataset, layout: Layout) -> dict[str, pa.DataType]:
    """How each column that is read of the file is parsed, by its name there."""
    stored = {c.name: c.type for c in dataset.columns}
    times = {"epoch": pa.int64(), "epoch_seconds": pa.string(), "text": pa.timestamp("s")}
    types: dict[str, pa.DataType] = {}
    for column in layout.columns:
        if column.time is not None:
            types[column.name] = times[column.time]
        elif column.stored_as is not None:
            types[column.name] = pa.string() if column.is_rounded else stored[column.stored_as]
        elif column.name == layout.identity:
            types[column.name] = pa.string()
        elif column.must_equal is not None:
            types[column.name] = pa.dictionary(pa.int32(), pa.string())
    return types


def _stored(batch: pa.RecordBatch, dataset: Dataset, layout: Layout) -> pa.Table:
    """The batch with the stored names, types and order. `_Faulty` where a text is not as it must be."""
    schema = _read_schema(dataset, layout)
    columns: dict[str, Any] = {c.name: pa.nulls(batch.num_rows, c.type) for c in dataset.columns if c.nullable}
    for column in layout.columns:
        if column.name in batch.schema.names and _differs(batch.column(column.name), column, layout):
            raise _Faulty
        if column.name == layout.identity:
            columns[column.name] = batch.column(column.name)
        if column.stored_as is None:
            continue
        values = batch.column(column.name)
        if column.time == "epoch":
            values = _instants(values)
        elif column.time == "epoch_seconds":
            values = _instants_of_seconds(values)
        elif column.time == "text":
            values = values.cast(pa.timestamp("us")).cast(INSTANT)
        elif column.is_rounded:
            values = _rounded(values, schema.field(column.stored_as).type)
        columns[column.stored_as] = values
    if layout.numbers_rows and dataset.id_column is not None:
        columns[dataset.id_column] = pa.array(np.zeros(batch.num_rows, np.int64))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _differs(values: pa.Array, column: SourceColumn, layout: Layout) -> bool:
    """Some of the values are not those of this market, do not name their trade, or are in quotes."""
    if column.name == layout.identity and values.null_count:
        return True
    if column.must_equal is not None:
        distinct = values.dictionary if pa.types.is_dictionary(values.type) else values.unique()
        if values.null_count or distinct.to_pylist() != [column.must_equal]:
            return True
    return pa.types.is_string(values.type) and bool(pc.any(pc.starts_with(values, '"')).as_py())


def _instants_of_seconds(seconds: pa.Array) -> pa.Array:
    """Instants from the text of seconds with a fraction, as a decimal throughout."""
    micro = pc.round(seconds.cast(pa.decimal128(38, 18)), 6).cast(pa.decimal128(26, 6))
    return pc.multiply(micro, pa.scalar(Decimal(10**6), pa.decimal128(7, 0))).cast(pa.int64()).cast(INSTANT)


def _rounded(numbers: pa.Array, stored: pa.Decimal128Type) -> pa.Array:
    """Decimals from text with more digits than are stored, half to even."""
    return pc.round(numbers.cast(pa.decimal256(76, 38)), stored.scale).cast(stored)


def _instants(epoch: pa.Array) -> pa.Array:
    """Instants from integers that are milliseconds or microseconds, told apart by their size."""
    as_micro = pc.greater_equal(epoch, _MICROSECONDS_FROM)
    return pc.if_else(as_micro, epoch, pc.multiply(epoch, 1000)).cast(INSTANT)


def _column_names(text: io.BufferedReader, source: SourceFile, layout: Layout) -> list[str]:
    """The names of the file's columns: from its header row, which is consumed, or from the layout if it has none."""
    expected = [c.name for c in layout.columns]
    if layout.is_bilingual:
        return _bilingual_names(text, source, layout)
    first = text.peek(1).split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    # A broken first row is still a row: no name of a column is a number.
    if first == [""] or any(_FIGURE.fullmatch(value.strip().strip('"')) for value in first):
        return expected
    line = text.readline().decode("utf-8", "replace").lstrip("\ufeff").strip()
    names = [name.strip().strip('"') for name in line.split(",")]
    _check_header(names, line, source, layout)
    return names


def _check_header(names: Sequence[str], line: str, source: SourceFile, layout: Layout) -> None:
    """Every column that is read is named once, whatever `line` the header is."""
    needed = [c.name for c in layout.columns if c.stored_as or c.name == layout.identity]
    faults = [f"column `{name}` is missing (the header says {line})" for name in needed if name not in names]
    faults += [f"column `{name}` is there twice (the header says {line})" for name in needed if names.count(name) > 1]
    if faults:
        raise ContractViolation(source.key, faults)


def _bilingual_names(text: io.BufferedReader, source: SourceFile, layout: Layout) -> list[str]:
    """The names of the columns where a header may say them in two languages, or may not be there.

    A first row that begins as a row of data does (a number, or the symbol) is no header; then the number of its columns
    says which order they have.
    """
    line = _text_of(text.peek(1).split(b"\n", 1)[0]).strip()
    if not line:
        return [c.name for c in layout.columns]
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    if cells[0].isdecimal() or cells[0] in [c.must_equal for c in layout.columns if c.must_equal is not None]:
        orders = [order for order in layout.headerless if len(order) == len(cells)]
        if not orders:
            raise ContractViolation(source.key, [f"it has no header and {len(cells)} columns: no known order"])
        return list(orders[0])
    text.readline()
    known = {c.name for c in layout.columns}
    names = [next((part for part in [cell, *cell.split("/")] if part.strip() in known), cell).strip() for cell in cells]
    _check_header(names, line, source, layout)
    return names


def _text_of(line: bytes) -> str:
    """A header's text: UTF-8 (a byte order mark is none of it), else the encoding of Chinese text on other systems."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("gb18030", "replace")


# ---- a file with faults: every row judged by itself ------------------------------------------------------------------


@dataclass
class _TextBlock:
    """Rows of a file as text: the bytes of each column, the rows' numbers, and those with a wrong number of columns."""

    columns: dict[str, pa.Array]
    numbers: Any
    misshapen: list[_Misshapen]


@dataclass(frozen=True)
class _Misshapen:
    number: int
    line: str
    column_count: int


@dataclass
class _JudgedBlock:
    """Rows of a file, judged: the good ones with `_read_schema`, and those that are set aside, both in file order.

    `first_at`: time of the first row of the file that has one, as far as it is read; microseconds since the epoch.
    """

    good: pa.Table
    good_numbers: Any
    set_aside: list[RowSetAside]
    row_count: int
    first_at: int | None


class _Unreadable(ValueError):
    """A text is not what its column holds; the message goes on where the column's name ends."""


def _text_blocks(source: SourceFile, layout: Layout) -> Iterator[_TextBlock]:
    """The file's rows as they stand, block by block. Quotes are left to whoever reads a value: rows end with lines."""
    with _csv_text(source, layout) as text:
        names = _column_names(text, source, layout)
        _check_shared(names, source, layout)
        if not text.peek(1):
            return
        misshapen: list[_Misshapen] = []

        def keep(row: pacsv.InvalidRow) -> str:
            misshapen.append(_Misshapen(row.number, row.text[:1000], row.actual_columns))
            return "skip" if len(misshapen) < _MOST_MISSHAPEN else "error"

        last = 0
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names, block_size=_CSV_BLOCK, use_threads=False),
                parse_options=pacsv.ParseOptions(quote_char=False, invalid_row_handler=keep),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False
                ),
            )
            for batch in reader:
                # The numbers that rows of a wrong shape leave; some of those may stand in a block to come.
                taken = [row.number for row in misshapen]
                numbers = np.arange(last + 1, last + 1 + batch.num_rows + len(taken))
                numbers = numbers[~np.isin(numbers, taken)][: batch.num_rows]
                end = int(numbers[-1]) if batch.num_rows else last
                before = [row for row in misshapen if row.number <= end]
                misshapen[:] = [row for row in misshapen if row.number > end]
                last = end
                yield _TextBlock(dict(zip(names, batch.columns, strict=True)), numbers, before)
        except pa.ArrowInvalid as error:
            if misshapen:
                first = misshapen[0]
                fault = (
                    f"{len(misshapen)} rows have another number of columns than {len(names)}, first row {first.number} "
                    f"with {first.column_count}: `{first.line[:200]}`"
                )
            else:
                fault = f"the text after row {last} is no row of {len(names)} columns ({error})"
            raise SourceDefect(f"{source.key} cannot be read, nothing of it was stored: {fault}") from error
        if misshapen:
            yield _TextBlock({name: pa.array([], pa.binary()) for name in names}, np.arange(0), misshapen)


def _judged_blocks(
    source: SourceFile, dataset: Dataset, layout: Layout, contradictions: Mapping[int, Sequence[Fault]] | None = None
) -> Iterator[_JudgedBlock]:
    """The file's rows, each of them good or set aside. `contradictions`: faults of rows by number, found elsewhere."""
    schema = _read_schema(dataset, layout)
    earliest, latest = bounds_of(dataset, source.period, source.holds)
    last_at: int | None = None
    first_at: int | None = None
    for block in _text_blocks(source, layout):
        block = _texts_of_symbol(block, source, layout)
        table, found = _judged(block, dataset, layout, schema, source)
        for number, faults in (contradictions or {}).items():
            place = int(np.searchsorted(block.numbers, number))
            if place < len(block.numbers) and block.numbers[place] == number:
                found.setdefault(place, []).extend(faults)
        # The time that each row is counted at: its own, else that of the row before it.
        times = table.column(dataset.time_column).cast(pa.int64())
        micros = pc.fill_null(times, earliest - 1).to_numpy()
        has_time = (micros >= earliest) & (micros <= latest)
        counted_at = np.maximum.accumulate(np.where(has_time, np.arange(len(micros)), -1))
        jitter = dataset.jitter // timedelta(microseconds=1)

        def at(place: int) -> int | None:
            held = int(counted_at[place]) if place >= 0 else -1  # noqa: B023  (called within this turn)
            return int(micros[held]) + jitter if held >= 0 else last_at  # noqa: B023

        lines = _lines(block, sorted(found))
        set_aside = [
            RowSetAside(int(block.numbers[place]), lines[place], tuple(found[place]), at(place))
            for place in sorted(found)
        ]
        expected = len(block.columns)
        for row in block.misshapen:
            fault = Fault(f"the row has {row.column_count} columns instead of {expected}", row.line[:100], True)
            place = int(np.searchsorted(block.numbers, row.number)) - 1
            set_aside.append(RowSetAside(row.number, row.line, (fault,), at(place)))
        set_aside.sort(key=lambda row: row.number)
        if has_time.any():
            first_at = int(micros[has_time][0]) + jitter if first_at is None else first_at
            last_at = int(micros[has_time][-1]) + jitter
        good = np.ones(len(block.numbers), dtype=bool)
        good[list(found)] = False
        if source.holds is not None:
            good &= pc.fill_null(_is_wanted(table, source, dataset), False).to_numpy()
        yield _JudgedBlock(
            table.filter(pa.array(good)),
            block.numbers[good],
            set_aside,
            len(block.numbers) + len(block.misshapen),
            first_at,
        )


def _texts_of_symbol(block: _TextBlock, source: SourceFile, layout: Layout) -> _TextBlock:
    """Of a file that several symbols share, the rows of the file's own."""
    for column in layout.columns if source.is_shared else ():
        if column.must_equal is not None and column.name in block.columns:
            own = pc.fill_null(pc.equal(_texts(block.columns[column.name])[0], column.must_equal), False)
            columns = {name: values.filter(own) for name, values in block.columns.items()}
            name = column.must_equal
            misshapen = [row for row in block.misshapen if row.line.startswith((name, f'"{name}"'))]
            return _TextBlock(columns, block.numbers[own.to_numpy(zero_copy_only=False)], misshapen)
    return block


def _judged(
    block: _TextBlock, dataset: Dataset, layout: Layout, schema: pa.Schema, source: SourceFile
) -> tuple[pa.Table, dict[int, list[Fault]]]:
    """The rows with `schema`, empty where a value cannot be read, and the faults of those that have any, by place."""
    found: dict[int, list[Fault]] = {}
    stored: dict[str, pa.Array] = {}
    unreadable: dict[str, set[int]] = {}
    nullable = {c.name for c in dataset.columns if c.nullable}

    def fault(place: int, label: str, value: str | None, *, is_unreadable: bool) -> None:
        found.setdefault(place, []).append(Fault(label, value, is_unreadable))

    for column in layout.columns:
        name = column.name
        target = column.stored_as or (name if name == layout.identity else None)
        if name not in block.columns or (target is None and column.must_equal is None):
            continue
        texts, bad = _texts(block.columns[name])
        if target is None:
            values = texts
        else:
            wanted = schema.field(target).type
            if target in nullable and not pa.types.is_string(wanted):
                texts = pc.if_else(pc.is_in(pc.utf8_lower(texts), pa.array(sorted(_NO_VALUE))), None, texts)
            values, unread = _converted(texts, *_reading(column, wanted, layout))
            bad = {**dict(unread), **bad}
            stored[target] = values
            unreadable[target] = set(bad)
        for place, what in bad.items():
            fault(place, f"`{name}` {what}", _shown_text(block.columns[name][place]), is_unreadable=True)
        if column.must_equal is not None:
            other = pc.fill_null(pc.not_equal(texts, column.must_equal), target is None)
            for place in np.flatnonzero(other.to_numpy(zero_copy_only=False)).tolist():
                value = _shown_text(block.columns[name][place])
                fault(place, f"`{name}` is not {column.must_equal}", value, is_unreadable=False)
        if name == layout.identity:
            for place in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
                fault(place, f"`{name}` is empty", None, is_unreadable=False)
    if layout.numbers_rows and dataset.id_column is not None:
        stored[dataset.id_column] = pa.array(np.zeros(len(block.numbers), np.int64))
    for missing in nullable - stored.keys():
        stored[missing] = pa.nulls(len(block.numbers), schema.field(missing).type)
    table = pa.table([stored[name] for name in schema.names], schema=schema)
    for breach in row_faults(table, dataset, source.period, source.holds):
        values = breach.values
        for place in np.flatnonzero(breach.failing.to_numpy()).tolist():
            if breach.what == "is empty":
                if place not in unreadable.get(breach.column, ()):
                    fault(place, breach.label, None, is_unreadable=False)
            else:
                value = shown(values[place])
                if pa.types.is_decimal(values.type):
                    value = f"{values[place].as_py().normalize(_EXACT):f}"
                fault(place, breach.label, value, is_unreadable=False)
    return table, found


def _texts(raw: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """A column's bytes as text without blanks and quotes around it, empty text as no value; and what is no text."""
    bad: dict[int, str] = {}
    try:
        texts = raw.cast(pa.string())
    except pa.ArrowInvalid:
        decoded = []
        for place, value in enumerate(raw.to_pylist()):
            try:
                decoded.append(value.decode())
            except UnicodeDecodeError:
                decoded.append("")
                bad[place] = "is not text in UTF-8"
        texts = pa.array(decoded, pa.string())
    texts = pc.utf8_trim(texts, " \t\r")
    if pc.any(pc.starts_with(texts, '"')).as_py():
        texts = pc.replace_substring_regex(texts, r'^"(.*)"$', r"\1")
    return pc.if_else(pc.equal(texts, ""), None, texts), bad


def _shown_text(raw: pa.Scalar) -> str:
    text: str = raw.as_py().decode("utf-8", "replace")
    return text if len(text) <= 100 else f"{text[:100]}…"


def _lines(block: _TextBlock, places: Sequence[int]) -> dict[int, str]:
    """The text of some rows, as it stands in the file."""
    if not places:
        return {}
    columns = [values.take(pa.array(places)).to_pylist() for values in block.columns.values()]
    lines = (b",".join(values).decode("utf-8", "replace") for values in zip(*columns, strict=True))
    return dict(zip(places, lines, strict=True))


# How a column is read: all of it at once (ArrowInvalid when that fails), one value (`_Unreadable`), and its type.
_Reading: TypeAlias = "tuple[Callable[[pa.Array], pa.Array], Callable[[str], Any], pa.DataType]"


def _converted(
    texts: pa.Array, at_once: Callable[[pa.Array], pa.Array], one: Callable[[str], Any], wanted: pa.DataType
) -> tuple[pa.Array, list[tuple[int, str]]]:
    """The values of a column, and what is wrong with those that cannot be read (empty then), by place.

    As many as possible at once: where that fails, each half of them by itself, and the last few one by one.
    """
    try:
        return at_once(texts), []
    except pa.ArrowInvalid:
        pass
    count = len(texts)
    if count > _FEW:
        halves = texts.slice(0, count // 2), texts.slice(count // 2)
        (values, bad), (more, also) = (_converted(half, at_once, one, wanted) for half in halves)
        return pa.concat_arrays([values, more]), [*bad, *((place + count // 2, what) for place, what in also)]
    read: list[Any] = []
    faults: list[tuple[int, str]] = []
    for place, text in enumerate(texts.to_pylist()):
        try:
            read.append(None if text is None else one(text))
        except _Unreadable as error:
            read.append(None)
            faults.append((place, str(error)))
    return pa.array(read, wanted), faults


def _reading(column: SourceColumn, wanted: pa.DataType, layout: Layout) -> _Reading:
    """How a column of a faulty file is read. Whatever the fast way reads, this reads the same."""
    if column.time == "epoch":
        return lambda texts: _instants(texts.cast(pa.int64())), _one_epoch, wanted
    if column.time == "epoch_seconds":
        return _instants_of_seconds, _one_of_seconds, wanted
    if column.time == "text":
        return lambda texts: texts.cast(pa.timestamp("s")).cast(pa.timestamp("us")).cast(INSTANT), _one_time, wanted
    if pa.types.is_boolean(wanted):
        words = _words(layout)
        return lambda texts: _flags(texts, *words), lambda text: _one_flag(text, *words), wanted
    if pa.types.is_int64(wanted):
        return lambda texts: texts.cast(pa.int64()), _one_whole, wanted
    if pa.types.is_decimal(wanted):
        if column.is_rounded:
            return lambda texts: _rounded(texts, wanted), lambda text: _one_rounded(text, wanted), wanted
        return lambda texts: texts.cast(wanted), lambda text: _one_decimal(text, wanted), wanted
    return lambda texts: texts, str, wanted


def _flags(texts: pa.Array, true_words: list[str], false_words: list[str]) -> pa.Array:
    is_true = pc.is_in(texts, pa.array(true_words))
    known = pc.or_(is_true, pc.is_in(texts, pa.array(false_words)))
    if pc.any(pc.invert(pc.or_(known, texts.is_null()))).as_py():
        raise pa.ArrowInvalid("a word that is neither")
    return pc.if_else(known, is_true, None)


def _one_flag(text: str, true_words: list[str], false_words: list[str]) -> bool:
    if text not in true_words and text not in false_words:
        raise _Unreadable(f"is not {true_words[0]} or {false_words[0]}")
    return text in true_words


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise _Unreadable("is not a number")
    number = Decimal(text)
    # Beyond any stored type, and not worth exact arithmetic: `1e-999999999` would take all the memory there is.
    if len(number.as_tuple().digits) > _LONGEST_NUMBER or (number and abs(number.adjusted()) > _LONGEST_NUMBER):
        raise _Unreadable("has more digits than Taker stores")
    return number if number else Decimal(0)


def _one_decimal(text: str, stored: pa.Decimal128Type) -> Decimal:
    number = _number(text)
    if number and number.adjusted() >= stored.precision - stored.scale:
        raise _Unreadable(too_large(stored))
    fitting = number.quantize(Decimal(1).scaleb(-stored.scale), context=_EXACT)
    if fitting != number:
        raise _Unreadable(too_fine(stored))
    return fitting


def _one_rounded(text: str, stored: pa.Decimal128Type) -> Decimal:
    fitting = _number(text).quantize(Decimal(1).scaleb(-stored.scale), context=_EXACT)
    if fitting.copy_abs() > largest(stored):
        raise _Unreadable(too_large(stored))
    return fitting


def _one_whole(text: str) -> int:
    try:
        number = _number(text)
    except _Unreadable as error:
        raise _Unreadable("is not a whole number") from error
    whole = int(number)
    if whole != number:
        raise _Unreadable("is not a whole number")
    if not -(2**63) <= whole < 2**63:
        raise _Unreadable("does not fit a whole number of 64 bits, which is what Taker stores")
    return whole


def _one_epoch(text: str) -> int:
    whole = _one_whole(text)
    return whole if whole >= _MICROSECONDS_FROM else max(whole * 1000, -(2**62))


def _one_of_seconds(text: str) -> int:
    micros = int((_number(text) * 10**6).to_integral_value(context=_EXACT))
    return max(min(micros, 2**62), -(2**62))


def _one_time(text: str) -> datetime:
    if not _TEXT_TIME.fullmatch(text):
        raise _Unreadable("is not a time like 2024-01-02 00:00:00")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise _Unreadable("is not a time like 2024-01-02 00:00:00") from error


def _csv_text(source: SourceFile, layout: Layout) -> AbstractContextManager[io.BufferedReader]:
    """The plain bytes of the file's CSV, unpacked as they are read, their length and CRC checked at their end."""
    return _gzip_text(source) if layout.packing == "gzip" else _csv_member(source)


@contextmanager
def _gzip_text(source: SourceFile) -> Iterator[io.BufferedReader]:
    try:
        if not source.path.stat().st_size:
            raise EOFError("it is empty")
        with igzip.IGzipFile(str(source.path), "rb") as plain:  # type: ignore[no-untyped-call]
            yield io.BufferedReader(plain, buffer_size=1 << 20)
    except (gzip.BadGzipFile, EOFError, fast_zlib.error) as error:  # type: ignore[misc]  # as below
        raise SourceDefect(f"{source.key} is not a readable gzip file ({error}); nothing of it was stored") from error


@contextmanager
def _csv_member(source: SourceFile) -> Iterator[io.BufferedReader]:
    """The one CSV file inside the zip, inflated as it is read, its length and CRC checked at its end."""
    try:
        with source.path.open("rb") as file:
            with zipfile.ZipFile(file) as packed:
                members = packed.infolist()
                if len(members) != 1:
                    raise SourceDefect(
                        f"{source.key} holds {len(members)} members instead of one: "
                        f"{', '.join(m.filename for m in members[:5])}; nothing of it was stored"
                    )
                member = members[0]
                if "/" in member.filename or "\\" in member.filename or ".." in member.filename:
                    raise SourceDefect(f"{source.key}: member `{member.filename}` has a path in its name; refused")
                packed.open(member).close()  # has zipfile check the member's own header and flags
            yield io.BufferedReader(_Inflating(file, member, source.key), buffer_size=1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceDefect(f"{source.key} is not a readable zip ({error}); nothing of it was stored") from error


class _Inflating(io.RawIOBase):
    """The plain bytes of one zip member. python-isal inflates more than twice as fast as zlib."""

    def __init__(self, file: io.BufferedReader, member: zipfile.ZipInfo, key: str) -> None:
        file.seek(member.header_offset + 26)
        name_length, extra_length = (int.from_bytes(file.read(2), "little") for _ in range(2))
        file.seek(name_length + extra_length, io.SEEK_CUR)
        self._file, self._member, self._key = file, member, key
        self._left = member.compress_size
        stored = member.compress_type == zipfile.ZIP_STORED
        self._inflate = None if stored else fast_zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._length = 0
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        while True:
            packed = self._tail or self._file.read(min(self._left, 1 << 18))
            if not self._tail:
                self._left -= len(packed)
            try:
                block = self._inflate.decompress(packed, wanted) if self._inflate else packed[:wanted]
            except fast_zlib.error as error:  # type: ignore[misc]  # isal's stubs hide that it is an exception
                raise SourceDefect(f"{self._key} cannot be inflated ({error}); nothing of it was stored") from error
            self._tail = self._inflate.unconsumed_tail if self._inflate else packed[wanted:]
            if block or not (self._tail or (packed and self._left)):
                break
        if not block:
            self._verify()
        self._crc = fast_zlib.crc32(block, self._crc)
        self._length += len(block)
        buffer[: len(block)] = block
        return len(block)

    def _verify(self) -> None:
        if (self._crc, self._length) != (self._member.CRC, self._member.file_size):
            raise SourceDefect(f"{self._key} is damaged: its length or CRC is wrong; nothing of it was stored")


def encode(rows: pa.Table, dataset: Dataset, period: Period, where: str, target: Path) -> Decoded:
    """Write rows that no file holds (an api's or a feed's) to the Parquet file `target`, in time order.

    `rows`: with the dataset's schema, in any order; a row that is there twice is written once. `where` names their
    origin in a fault. Raises ContractViolation; then `target` does not exist. The same rows give the same bytes.
    """
    check = ContractCheck(dataset, period, where)
    check.add(rows)
    check.finish()
    names = [dataset.time_column, *(c.name for c in dataset.columns if c.name != dataset.time_column)]
    ordered = rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in names]))
    repeated = _repeats(ordered)
    kept = ordered.filter(pa.array(~repeated))
    if dataset.one_per_time:
        clashing = np.flatnonzero(np.diff(_as_integers(kept.column(dataset.time_column))) == 0)
        if len(clashing):
            twice = kept.column(dataset.time_column)[int(clashing[0])].as_py()
            fault = f"`{dataset.time_column}` {twice} and {len(clashing) - 1} others appear twice with different rows"
            raise ContractViolation(where, [fault])
    found = Decoded(source_rows=[rows.num_rows], duplicate_rows=int(repeated.sum()))
    return _write([_without_zero_rows(kept, dataset, found), found], dataset, None, target)


def rewrite(rows: pa.Table, found: Decoded, dataset: Dataset, layout: Layout, target: Path) -> Decoded:
    """Write `rows`, which are the first of those that were decoded, to `target` in their place; the counts are theirs.

    Gaps between ids are those before the last row. A zero row that was dropped after it may hide one.
    """
    kept = _write([rows, replace(found)], dataset, layout, target)
    if dataset.id_column is None:
        return kept
    if not rows.num_rows:
        kept.first_id = kept.last_id = None
        kept.id_gaps = 0
        return kept
    kept.last_id = rows.column(dataset.id_column)[-1].as_py()
    gone = (found.last_id or 0) - (kept.last_id or 0)
    kept.id_gaps = max(0, found.id_gaps - max(0, gone - (found.rows - rows.num_rows)))
    return kept
