"""Parsing: the CSV of a source file becomes typed rows, block by block.

Belongs here: the types and rules by which values are read, the rows of one symbol or period of a file that holds more.
Types are given, never inferred, and decimals never pass through a float. Rules look at the data, not at the calendar: a
time of 10^15 or more is microseconds.
Does not: files with faulty rows (`ingestion.decode.judge`), the order of rows (`ingestion.decode.order`).

Every row is expected to be correct, which is fast to check; at the first one that is not, `Faulty` ends the reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingestion.decode.contracts import row_faults
from ingestion.decode.header import check_shared, column_names
from ingestion.decode.memory import column_of, integers
from ingestion.decode.numerals import decimals, refuse_unsafe
from ingestion.decode.unpack import SourceFile, csv_text
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import SourceDefect
from ingestion.venues.venue import Layout, SourceColumn

MICROSECONDS_FROM: Final = 10**15
# Each block costs a millisecond beside its rows. It is read, parsed and written at the same time as its neighbours.
CSV_BLOCK: Final = 2 << 20
_TRUE: Final = ("true", "True", "TRUE", "1")
_FALSE: Final = ("false", "False", "FALSE", "0")


class Faulty(Exception):
    """A row of the file is faulty: every row has to be judged on its own."""


def read_schema(dataset: Dataset, layout: Layout) -> pa.Schema:
    """The columns read of a file: the dataset's, and last the one that identifies a row where it is not stored."""
    schema = dataset.schema
    return schema if layout.identity is None else schema.append(pa.field(layout.identity, pa.string()))


def typed_batches(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[pa.Table]:
    """The file's rows in file order, with `read_schema`, block by block. Rows to be numbered have 0 for an id."""
    with csv_text(source, layout, dataset.files) as text:
        names = column_names(text, source, layout, dataset.files)
        check_shared(names, source, layout)
        if not text.peek(1):
            return
        true_values, false_values = boolean_words(layout)
        types = _source_types(dataset, layout)
        rows = 0
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names, block_size=CSV_BLOCK),
                # A quote that is never closed would hide rows: a file with quotes around values is read as text.
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
                rows += batch.num_rows
                check_row_count(rows, source, dataset)
                own = _of_symbol(batch, source, layout)
                if own.num_rows:
                    table = _stored(own, dataset, layout)
                    if any(
                        True
                        for _ in row_faults(table, dataset, source.period, source.holds, is_inverse=layout.is_inverse)
                    ):
                        raise Faulty
                    yield table
        except pa.ArrowInvalid as error:
            raise Faulty from error


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
            values = decimals(values, schema.field(column.stored_as).type)
        columns[column.stored_as] = values
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
