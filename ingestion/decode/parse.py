"""Parsing: the CSV of a source file becomes typed rows, block by block.

Belongs here: the types and rules by which values are read, the rows of one symbol or period of a file that holds more.
Types are given, never inferred, and decimals never pass through a float. Rules look at the data, not at the calendar: a
time of 10^15 or more is microseconds.
Does not: files with faulty rows (`ingestion.decode.judge`), the order of rows (`ingestion.decode.order`).

Every row is expected to be correct, which is fast to check; at the first one that is not, `Faulty` ends the reading.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingestion.decode.contracts import RowFault, row_faults, time_faults, value_faults
from ingestion.decode.header import check_shared, column_names
from ingestion.decode.memory import column_of, integers
from ingestion.decode.numerals import decimal_columns, refuse_unsafe
from ingestion.decode.unpack import SourceFile, csv_text
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import SourceDefect
from ingestion.venues.venue import Layout, SourceColumn

MICROSECONDS_FROM: Final = 10**15
# Each block costs a millisecond beside its rows. It is read, parsed and written at the same time as its neighbours.
CSV_BLOCK: Final = 2 << 20
# A file of at most this part of a block is read at once, and together with others like it; packed, of a sixteenth.
_SHORT: Final = 4
_SHORT_PACKED: Final = 16
_TRUE: Final = ("true", "True", "TRUE", "1")
_FALSE: Final = ("false", "False", "FALSE", "0")


class Faulty(Exception):
    """A row of the file is faulty: every row has to be judged on its own."""


def read_schema(dataset: Dataset, layout: Layout) -> pa.Schema:
    """The columns read of a file: the dataset's, and last the one that identifies a row where it is not stored."""
    schema = dataset.schema
    return schema if layout.identity is None else schema.append(pa.field(layout.identity, pa.string()))


def typed_tables(
    sources: Sequence[SourceFile], dataset: Dataset, layout: Layout
) -> Iterator[tuple[SourceFile, pa.Table]]:
    """The rows of each file in file order, with `read_schema`, block by block. Rows to be numbered have 0 for an id.

    Short files are read together as far as they follow each other: a file of a day's bars costs a tenth of what it
    costs alone.
    """
    together: list[_Short] = []
    for source in sources:
        short = _short(source, dataset, layout)
        if together and (short is None or not short.follows(together)):
            yield from _read_together(together, dataset, layout)
            together = []
        if short is None:
            yield from ((source, table) for table in _blocks(source, dataset, layout))
        else:
            together.append(short)
    yield from _read_together(together, dataset, layout)


@dataclass(frozen=True)
class _Short:
    """A file whose rows are in memory, each on a line of its own that ends, in columns of these names."""

    source: SourceFile
    names: list[str]
    rows: bytes

    @property
    def row_count(self) -> int:
        return self.rows.count(b"\n")

    def follows(self, others: Sequence[_Short]) -> bool:
        """Whether it can be read together with these."""
        return self.names == others[0].names and sum(len(each.rows) for each in (*others, self)) <= CSV_BLOCK


def _short(source: SourceFile, dataset: Dataset, layout: Layout) -> _Short | None:
    """The rows of a file that has few, and none of what lets its lines differ from its rows; None for any other."""
    if source.is_shared or source.holds is not None or source.path.stat().st_size > CSV_BLOCK // _SHORT_PACKED:
        return None
    with csv_text(source, layout, dataset.files) as text:
        names = column_names(text, source, layout, dataset.files)
        rows = text.read(CSV_BLOCK // _SHORT + 1)
    if len(rows) > CSV_BLOCK // _SHORT or b"\r" in rows or b"\n\n" in rows or rows.startswith((b"\n", codecs.BOM_UTF8)):
        return None
    return _Short(source, names, rows if rows.endswith(b"\n") or not rows else rows + b"\n")


def _read_together(files: Sequence[_Short], dataset: Dataset, layout: Layout) -> Iterator[tuple[SourceFile, pa.Table]]:
    """The rows of each file, read and checked at once."""
    for each in files:
        check_row_count(each.row_count, each.source, dataset)
    text = b"".join(each.rows for each in files)
    if not text:
        return
    read_options, parse_options, convert_options = _options(files[0].names, len(text) + 1, dataset, layout)
    try:
        # Without threads: files are what is done in parallel.
        read_options.use_threads = False
        csv = pacsv.read_csv(pa.BufferReader(text), read_options, parse_options, convert_options)
        table = _stored(csv.combine_chunks().to_batches()[0], dataset, layout)
    except pa.ArrowInvalid as error:
        raise Faulty from error
    first = 0
    parts = []
    for each in files:
        parts.append((each.source, table.slice(first, each.row_count)))
        first += each.row_count
    if first != table.num_rows or _has_any(value_faults(table, dataset, is_inverse=layout.is_inverse)):
        raise Faulty
    if any(_has_any(time_faults(rows, dataset, source.period, source.holds)) for source, rows in parts):
        raise Faulty
    yield from ((source, rows) for source, rows in parts if rows.num_rows)


def _has_any(faults: Iterator[RowFault]) -> bool:
    return next(faults, None) is not None


def _blocks(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[pa.Table]:
    """The rows of one file of any length."""
    with csv_text(source, layout, dataset.files) as text:
        names = column_names(text, source, layout, dataset.files)
        check_shared(names, source, layout)
        if not text.peek(1):
            return
        rows = 0
        try:
            for batch in pacsv.open_csv(text, *_options(names, CSV_BLOCK, dataset, layout)):
                rows += batch.num_rows
                check_row_count(rows, source, dataset)
                own = _of_symbol(batch, source, layout)
                if own.num_rows:
                    table = _stored(own, dataset, layout)
                    faults = row_faults(table, dataset, source.period, source.holds, is_inverse=layout.is_inverse)
                    if _has_any(faults):
                        raise Faulty
                    yield table
        except pa.ArrowInvalid as error:
            raise Faulty from error


def _options(
    names: Sequence[str], block_size: int, dataset: Dataset, layout: Layout
) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
    """How Arrow reads a file with columns of these names."""
    true_values, false_values = boolean_words(layout)
    types = _source_types(dataset, layout)
    return (
        pacsv.ReadOptions(column_names=names, block_size=block_size),
        # A quote that is never closed would hide rows: a file with quotes around values is read as text.
        pacsv.ParseOptions(quote_char=False),
        pacsv.ConvertOptions(
            column_types=types,
            include_columns=[name for name in names if name in types],
            null_values=["", '""'],
            strings_can_be_null=True,
            true_values=true_values,
            false_values=false_values,
        ),
    )


def check_row_count(rows: int, source: SourceFile, dataset: Dataset) -> None:
    """SourceDefect when so many rows are too many for the file's period."""
    most = dataset.files.rows_per_day * source.days
    if rows > most:
        raise SourceDefect(
            f"{source.key} has more than {most} rows, the most that {source.days} days of {dataset.name} may have; "
            "nothing of it was stored"
        )


def _of_symbol(batch: pa.RecordBatch, source: SourceFile, layout: Layout) -> pa.RecordBatch:
    """Of a file that several symbols share, the rows of this symbol, without the column that names it."""
    for column in layout.columns if source.is_shared else ():
        if column.must_equal is not None and column.name in batch.schema.names:
            own = pc.fill_null(pc.equal(batch.column(column.name).cast(pa.string()), column.must_equal), False)
            batch = batch.filter(own).drop_columns([column.name])
    return batch


def rows_of_period(table: pa.Table, source: SourceFile, dataset: Dataset) -> pa.Table:
    """The rows of the requested period; other rows of the file belong to another object."""
    return table if source.holds is None else table.filter(is_of_period(table, source, dataset))


def is_of_period(table: pa.Table, source: SourceFile, dataset: Dataset) -> Any:
    times = table.column(dataset.time_column)
    first, end = (pa.scalar(at, type=times.type) for at in (source.period.starts_at, source.period.ends_at))
    return pc.and_(pc.greater_equal(times, first), pc.less(times, end))


def boolean_words(layout: Layout) -> tuple[list[str], list[str]]:
    """The texts for true and for false in the file: the layout's own where it has any."""
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
            wanted = stored[column.stored_as]
            is_text = column.is_rounded or pa.types.is_decimal(wanted)
            # Without the check of UTF-8 that texts cost: digits are none but their own.
            types[column.name] = pa.binary() if is_text else wanted
        elif column.name == layout.identity:
            types[column.name] = pa.string()
        elif column.must_equal is not None:
            types[column.name] = pa.dictionary(pa.int32(), pa.string())
    return types


def _stored(batch: pa.RecordBatch, dataset: Dataset, layout: Layout) -> pa.Table:
    """The batch with the stored names, types and order. `Faulty` where a text is not valid."""
    schema = read_schema(dataset, layout)
    columns: dict[str, Any] = {c.name: pa.nulls(batch.num_rows, c.type) for c in dataset.columns if c.nullable}
    numbers: dict[str, Any] = {}
    for column in layout.columns:
        if column.name in batch.schema.names and _differs(batch.column(column.name), column, layout):
            raise Faulty
        if column.name == layout.identity:
            columns[column.name] = batch.column(column.name)
        if column.stored_as is None:
            continue
        values = batch.column(column.name)
        if column.time == "epoch":
            values = instants(values)
        elif column.time == "epoch_seconds":
            values = instants_of_seconds(refuse_unsafe(values))
        elif column.time == "text":
            values = values.cast(pa.timestamp("us")).cast(INSTANT)
        elif column.is_rounded:
            values = rounded(refuse_unsafe(values.cast(pa.string())), schema.field(column.stored_as).type)
        elif pa.types.is_decimal(schema.field(column.stored_as).type):
            numbers[column.stored_as] = values
        columns[column.stored_as] = values
    wanted = [schema.field(name).type for name in numbers]
    columns.update(zip(numbers, decimal_columns(list(numbers.values()), wanted), strict=True))
    if layout.numbers_rows and dataset.id_column is not None:
        columns[dataset.id_column] = column_of(np.zeros(batch.num_rows, np.int64), pa.int64())
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _differs(values: pa.Array, column: SourceColumn, layout: Layout) -> bool:
    """Some values belong to another market, do not identify their trade, or are in quotes."""
    if column.name == layout.identity and values.null_count:
        return True
    if column.must_equal is not None:
        distinct = values.dictionary if pa.types.is_dictionary(values.type) else values.unique()
        if values.null_count or distinct.to_pylist() != [column.must_equal]:
            return True
    return pa.types.is_string(values.type) and bool(pc.any(pc.starts_with(values, '"')).as_py())


def instants_of_seconds(seconds: pa.Array) -> pa.Array:
    """Instants from the text of seconds with a fraction, as a decimal throughout."""
    micro = pc.round(seconds.cast(pa.decimal128(38, 18)), 6).cast(pa.decimal128(26, 6))
    return pc.multiply(micro, pa.scalar(Decimal(10**6), pa.decimal128(7, 0))).cast(pa.int64()).cast(INSTANT)


def rounded(numbers: pa.Array, stored: pa.Decimal128Type) -> pa.Array:
    """Decimals from text with more digits than are stored, half to even."""
    return pc.round(numbers.cast(pa.decimal256(76, 38)), stored.scale).cast(stored)


def instants(epoch: pa.Array) -> pa.Array:
    """Instants from integers that are milliseconds or microseconds, distinguished by their size."""
    if len(epoch) and not epoch.null_count:
        values = integers(epoch)
        least, most = values.min(), values.max()
        if least >= 0 and (most < MICROSECONDS_FROM or least >= MICROSECONDS_FROM):  # nearly always
            return column_of(values * 1000 if most < MICROSECONDS_FROM else values, INSTANT)
    as_micro = pc.greater_equal(epoch, MICROSECONDS_FROM)
    return pc.if_else(as_micro, epoch, pc.multiply(epoch, 1000)).cast(INSTANT)
