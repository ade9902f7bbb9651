"""Bytes become typed rows: one packed CSV in, one ordered Parquet file out.

Belongs here: inflating, parsing by rule, ordering, dropping and counting of defects, Parquet encoding. Types are given,
never inferred, and decimals never pass through a float. Rules look at the data, not at the calendar: a first byte that
is a digit means no header row, a time of 10^15 or more is microseconds.
Does not: fetching, naming, or which file belongs to what (`ingestion.ingest`).

A file whose rows come in id order, as nearly all do, streams through in blocks, so memory does not grow with the file.
Held whole, to be sorted, are a file that breaks the order and one whose rows the venue does not number: their place in
the day is known only once all of them are.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import isal.isal_zlib as fast_zlib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from isal import igzip

from ingestion.arrow import INSTANT, ROW_GROUP, parquet_writer, too_fine
from ingestion.contracts import ContractCheck
from ingestion.datasets import FLOW_DATASETS, Dataset
from ingestion.errors import ContractViolation, SourceDefect
from ingestion.markets import ContractType
from ingestion.periods import Period
from ingestion.quarantine import Quarantined
from ingestion.venues.venue import Layout, SourceColumn

# Part of every receipt: a higher number makes stored objects be decoded again from their source.
DECODER_VERSION: Final = 1

_MICROSECONDS_FROM: Final = 10**15
_CSV_BLOCK: Final = 2 << 20
_TRUE: Final = ("true", "True", "TRUE", "1")
_FALSE: Final = ("false", "False", "FALSE", "0")
# In the quote asset: older files print the product of price and quantity with two decimals.
NOTIONAL_TOLERANCE: Final = 0.01
_NUMBER: Final = r"^-?\d*\.?\d*([eE][-+]?\d+)?$"


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

    Raises SourceDefect for what cannot be parsed, ContractViolation for rows that break the dataset's contract; then
    `target` does not exist. The same input gives the same bytes.
    """
    try:
        if dataset.id_column is not None and not layout.numbers_rows and len(sources) == 1 and carried is None:
            try:
                return _write(_stream(sources[0], dataset, layout), dataset, layout, target)
            except _OutOfOrder:
                pass
        return _write(_sorted_whole(sources, dataset, layout, carried), dataset, layout, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


# A table of rows to write, or, last of all, the counts.
_Item: TypeAlias = "pa.Table | Decoded"


def _stream(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[_Item]:
    """Tables of ordered rows as they are read, then the counts. `_OutOfOrder` when the file is not in id order."""
    found = Decoded()
    check = ContractCheck(dataset, source.period, source.key, source.holds)
    last_row: pa.Table | None = None
    distinct = 0
    for table in _typed_batches(source, dataset, layout):
        check.add(table)
        if check.has_faults:
            continue
        found.rows += table.num_rows
        table = _of_period(table, source, dataset)
        if not table.num_rows:
            continue
        joined = pa.concat_tables([last_row, table]) if last_row is not None else table
        steps = np.diff(joined.column(dataset.id_column).to_numpy())
        if (steps <= 0).any():
            raise _OutOfOrder
        first_id, last_id = (table.column(dataset.id_column)[n].as_py() for n in (0, -1))
        found.first_id = first_id if found.first_id is None else found.first_id
        found.last_id = last_id
        distinct += table.num_rows
        last_row = table.slice(table.num_rows - 1)
        yield _without_zero_rows(table, dataset, found)
    check.finish()
    found.source_rows = [found.rows]
    if found.first_id is not None and found.last_id is not None:
        found.id_gaps = found.last_id - found.first_id + 1 - distinct
    yield found


def _sorted_whole(
    sources: Sequence[SourceFile], dataset: Dataset, layout: Layout, carried: pa.Table | None
) -> Iterator[_Item]:
    """All rows of all sources as one sorted table without duplicates, then the counts."""
    found = Decoded()
    schema = _read_schema(dataset, layout)
    tables = [schema.empty_table()] if carried is None else [carried]
    for source in sources:
        check = ContractCheck(dataset, source.period, source.key, source.holds)
        rows = 0
        for table in _typed_batches(source, dataset, layout):
            check.add(table)
            tables.append(_of_period(table, source, dataset))
            rows += table.num_rows
        check.finish()
        found.source_rows.append(rows)
    table = pa.concat_tables(tables)
    del tables
    order_by = (None if layout.numbers_rows else dataset.id_column) or dataset.time_column
    # Every column takes part, so that equal rows stand side by side and the same rows always give the same bytes.
    names = [order_by, *(name for name in schema.names if name != order_by)]
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names])
    ordered = table.take(order)
    del table
    repeated = _repeats(ordered)
    found.duplicate_rows = int(repeated.sum())
    kept = ordered.filter(pa.array(~repeated)) if found.duplicate_rows else ordered
    del ordered
    # In file order again, without the duplicates: who stands behind a higher one?
    places = order.to_numpy()[~repeated]
    keys = _as_integers(kept.column(order_by))[np.argsort(places)]
    if len(keys):
        found.out_of_order_rows = int((keys < np.maximum.accumulate(keys)).sum())
    where = " and ".join(s.key for s in sources)
    if (order_by == dataset.id_column or dataset.one_per_time) and kept.num_rows:
        clashing = np.flatnonzero(np.diff(_as_integers(kept.column(order_by))) == 0)
        if len(clashing):
            twice = kept.column(order_by)[int(clashing[0])].as_py()
            raise ContractViolation(where, [_appears_twice(order_by, twice, len(clashing))])
    if layout.identity is not None:
        _check_identity(kept.column(layout.identity), layout.identity, where)
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


def _of_period(table: pa.Table, source: SourceFile, dataset: Dataset) -> pa.Table:
    """The rows of the wanted period, where the file holds others as well: those are another object's."""
    if source.holds is None:
        return table
    times = table.column(dataset.time_column)
    first, end = (pa.scalar(at, type=times.type) for at in (source.period.starts_at, source.period.ends_at))
    return table.filter(pc.and_(pc.greater_equal(times, first), pc.less(times, end)))


def _check_identity(values: pa.ChunkedArray, name: str, where: str) -> None:
    """Every row says which trade it is, and no two different rows say the same."""
    if values.null_count:
        raise ContractViolation(where, [f"column `{name}` is empty in {values.null_count} rows"])
    clashes = len(values) - pc.count_distinct(values).as_py()
    if clashes:
        counts = pc.value_counts(values)
        twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"].as_py()
        raise ContractViolation(where, [_appears_twice(name, twice, clashes)])


def _appears_twice(name: str, first: object, count: int) -> str:
    return f"`{name}` {first} and {count - 1} others appear twice with different rows"


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
    days = rows.column(dataset.time_column).cast(pa.int64()).to_numpy() // 86_400_000_000
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
        if not text.peek(1):
            return
        true_values, false_values = _words(layout)
        types = _source_types(dataset, layout, names)
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names, block_size=_CSV_BLOCK),
                parse_options=pacsv.ParseOptions(quote_char='"', newlines_in_values=False),
                convert_options=pacsv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                    true_values=true_values,
                    false_values=false_values,
                ),
            )
            rows = 0
            for batch in reader:
                own = _of_symbol(batch, source, layout, rows)
                rows += batch.num_rows
                if own.num_rows:
                    yield _stored(own, dataset, layout)
        except pa.ArrowInvalid as error:
            raise _parse_defect(source, dataset, layout, error) from error


def _of_symbol(batch: pa.RecordBatch, source: SourceFile, layout: Layout, rows_before: int) -> pa.RecordBatch:
    """The rows of the file's own symbol. Others are left out of a shared file, and are a fault of any other file."""
    for column in layout.columns:
        if column.must_equal is None or column.name not in batch.schema.names:
            continue
        values = batch.column(column.name)
        is_own = pc.fill_null(pc.equal(values, pa.scalar(column.must_equal)), False)
        if source.is_shared:
            batch = batch.filter(is_own)
            continue
        first = pc.index(is_own, False).as_py()
        if first >= 0:
            fault = f"column `{column.name}` is not `{column.must_equal}`, first at row {rows_before + first + 1}"
            raise ContractViolation(source.key, [f"{fault}: `{values[first].as_py()}`"])
    return batch


def _words(layout: Layout) -> tuple[list[str], list[str]]:
    """What means true in the file, and what means false: the layout's own words where it has any."""
    own = [column for column in layout.columns if column.true_when is not None]
    true_words = [column.true_when for column in own if column.true_when is not None]
    false_words = [column.false_when for column in own if column.false_when is not None]
    return (true_words, false_words) if own else (list(_TRUE), list(_FALSE))


def _source_types(dataset: Dataset, layout: Layout, names: Sequence[str]) -> dict[str, pa.DataType]:
    """How each column that is read of the file, whose columns are `names`, is parsed, by its name there."""
    stored = {c.name: c.type for c in dataset.columns}
    times = {"epoch": pa.int64(), "epoch_seconds": pa.string(), "text": pa.timestamp("s")}
    types: dict[str, pa.DataType] = {}
    for column in layout.columns:
        if column.time is not None:
            types[column.name] = times[column.time]
        elif column.stored_as is not None:
            types[column.name] = pa.string() if column.is_rounded else stored[column.stored_as]
        elif column.name == layout.identity or (column.must_equal is not None and column.name in names):
            types[column.name] = pa.string()
    return types


def _stored(batch: pa.RecordBatch, dataset: Dataset, layout: Layout) -> pa.Table:
    """The batch with the stored names, types and order."""
    schema = _read_schema(dataset, layout)
    columns: dict[str, Any] = {c.name: pa.nulls(batch.num_rows, c.type) for c in dataset.columns if c.nullable}
    for column in layout.columns:
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
    start = text.peek(1)[:1]
    if not start or start.isdigit() or start == b"-":
        return expected
    names = [name.strip().strip('"') for name in text.readline().decode("utf-8", "replace").strip().split(",")]
    _check_header(names, names, source, layout)
    return names


def _check_header(names: Sequence[str], cells: Sequence[str], source: SourceFile, layout: Layout) -> None:
    """Every column that is read is named, whatever `cells` the header names it by."""
    missing = [c.name for c in layout.columns if (c.stored_as or c.name == layout.identity) and c.name not in names]
    if missing:
        raise ContractViolation(
            source.key, [f"column `{name}` is missing (the header says {', '.join(cells)})" for name in missing]
        )


def _bilingual_names(text: io.BufferedReader, source: SourceFile, layout: Layout) -> list[str]:
    """The names of the columns where a header may say them in two languages, or may not be there.

    A first row that begins as a row of data does (a number, or the symbol) is no header; then the number of its columns
    says which order they have.
    """
    line = text.peek(1).split(b"\n", 1)[0]
    if not line:
        return [c.name for c in layout.columns]
    cells = [cell.strip().strip('"') for cell in _text_of(line).strip().split(",")]
    if cells[0].isdecimal() or cells[0] in [c.must_equal for c in layout.columns if c.must_equal is not None]:
        orders = [order for order in layout.headerless if len(order) == len(cells)]
        if not orders:
            raise ContractViolation(source.key, [f"it has no header and {len(cells)} columns: no known order"])
        return list(orders[0])
    text.readline()
    known = {c.name for c in layout.columns}
    names = [next((part for part in [cell, *cell.split("/")] if part.strip() in known), cell).strip() for cell in cells]
    _check_header(names, cells, source, layout)
    twice = sorted(name for name in known if names.count(name) > 1)
    if twice:
        raise ContractViolation(source.key, [f"column `{name}` is there twice ({', '.join(cells)})" for name in twice])
    return names


def _text_of(line: bytes) -> str:
    """A header's text: UTF-8 (a byte order mark is none of it), else the encoding of Chinese text on other systems."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("gb18030", "replace")


def _parse_defect(source: SourceFile, dataset: Dataset, layout: Layout, error: pa.ArrowInvalid) -> SourceDefect:
    """Read the file once more as text, to say which values of which rows could not be read."""
    faults: list[str] = []
    try:
        with _csv_text(source, layout) as text:
            names = _column_names(text, source, layout)
            rows = pacsv.read_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names),
                convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
        types = _source_types(dataset, layout, names)
        for column in layout.columns:
            if column.name in types:
                faults.extend(_unreadable(rows.column(column.name), column, types[column.name], layout))
    except pa.ArrowInvalid:
        pass  # not even rows of text: the first error says it best
    detail = "; ".join(faults) or str(error)
    return SourceDefect(f"{source.key} cannot be read, nothing of it was stored: {detail}")


def _unreadable(values: pa.ChunkedArray, column: SourceColumn, wanted: pa.DataType, layout: Layout) -> Iterator[str]:
    """What is wrong with the text of one column, with the number of rows and the first of them."""
    if pa.types.is_boolean(wanted):
        true_words, false_words = _words(layout)
        meant = f"{true_words[0]} or {false_words[0]}"
        rules = {f"is not {meant}": rf"^({'|'.join([*true_words, *false_words])}|)$"}
    elif pa.types.is_int64(wanted):
        rules = {"is not a whole number": r"^-?\d+$"}
    elif pa.types.is_decimal(wanted):
        rules = {
            "is not a number": _NUMBER,
            too_fine(wanted): rf"^[^.]*(\.\d{{0,{wanted.scale}}}0*)?$|[eE]|[^-.\d]",
        }
    elif column.time == "epoch_seconds" or column.is_rounded:
        rules = {"is not a number": _NUMBER}
    else:
        return
    for fault, well in rules.items():
        failing = pc.invert(pc.match_substring_regex(values, well))
        count = pc.sum(failing).as_py()
        if count:
            first = pc.index(failing, True).as_py()
            yield f"column `{column.name}` {fault} in {count} rows, first at row {first + 1}: `{values[first].as_py()}`"


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
