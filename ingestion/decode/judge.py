"""A source file with faulty rows: every row is judged on its own.

Belongs here: reading rows as text, collecting the faults of each row, the time at which a row set aside is counted.
Does not: reading single values (`ingestion.decode.values`), the record of rows set aside
(`ingestion.decode.quarantine`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingestion.decode.contracts import bounds_of, row_faults, shown
from ingestion.decode.header import check_shared, column_names, shown_line
from ingestion.decode.parse import CSV_BLOCK, check_row_count, is_of_period, read_schema
from ingestion.decode.quarantine import Fault, RowSetAside
from ingestion.decode.unpack import SourceFile, csv_text
from ingestion.decode.values import EXACT, converted, reading_of
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import SourceDefect
from ingestion.venues.venue import Layout

# Texts that mean "no value" in a column that may be empty.
_NO_VALUE: Final = frozenset(
    ["nan", "null", "none", *(sign + word for sign in ("", "-", "+") for word in ("inf", "infinity"))]
)
# While so many bytes of rows with a wrong number of columns wait for a row with the right one, the file is refused.
_MOST_WAITING: Final = 128 << 20
_MISSHAPEN_BYTES: Final = 200


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
    """Rows of a file, judged: the good ones with `read_schema`, and those that are set aside, both in file order.

    `first_at`: time of the first row of the file that has one, as far as it is read; microseconds since the epoch.
    """

    good: pa.Table
    good_numbers: Any
    set_aside: list[RowSetAside]
    row_count: int
    first_at: int | None


def _text_blocks(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[_TextBlock]:
    """The file's rows as text, block by block. Quotes are handled when a value is read: a row is a line."""
    with csv_text(source, layout, dataset.files) as text:
        names = column_names(text, source, layout, dataset.files)
        check_shared(names, source, layout)
        if not text.peek(1):
            return
        misshapen: list[_Misshapen] = []
        waiting = 0

        def keep(row: pacsv.InvalidRow) -> str:
            nonlocal waiting
            misshapen.append(_Misshapen(row.number, row.text[:1000], row.actual_columns))
            waiting += len(misshapen[-1].line) + _MISSHAPEN_BYTES
            return "skip" if waiting < _MOST_WAITING else "error"

        last = 0
        try:
            reader = pacsv.open_csv(
                text,
                read_options=pacsv.ReadOptions(column_names=names, block_size=CSV_BLOCK, use_threads=False),
                parse_options=pacsv.ParseOptions(quote_char=False, invalid_row_handler=keep),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False
                ),
            )
            for batch in reader:
                # The numbers not taken by rows of a wrong shape; some of those may belong to a later block.
                taken = [row.number for row in misshapen]
                numbers = np.arange(last + 1, last + 1 + batch.num_rows + len(taken))
                numbers = numbers[~np.isin(numbers, taken)][: batch.num_rows]
                end = int(numbers[-1]) if batch.num_rows else last
                before = [row for row in misshapen if row.number <= end]
                misshapen[:] = [row for row in misshapen if row.number > end]
                waiting = sum(len(row.line) + _MISSHAPEN_BYTES for row in misshapen)
                last = end
                check_row_count(last + len(misshapen), source, dataset)
                yield _TextBlock(dict(zip(names, batch.columns, strict=True)), numbers, before)
        except pa.ArrowInvalid as error:
            if misshapen:
                first = misshapen[0]
                fault = (
                    f"{len(misshapen)} rows have another number of columns than {len(names)}, first row {first.number} "
                    f"with {first.column_count}: `{shown_line(first.line)}`"
                )
            else:
                fault = f"the text after row {last} is no row of {len(names)} columns ({error})"
            raise SourceDefect(f"{source.key} cannot be read, nothing of it was stored: {fault}") from error
        if misshapen:
            yield _TextBlock({name: pa.array([], pa.binary()) for name in names}, np.arange(0), misshapen)


def judged_blocks(
    source: SourceFile, dataset: Dataset, layout: Layout, contradictions: Mapping[int, Sequence[Fault]] | None = None
) -> Iterator[_JudgedBlock]:
    """The file's rows, each of them good or set aside. `contradictions`: faults of rows by number, found elsewhere."""
    schema = read_schema(dataset, layout)
    earliest, latest = bounds_of(dataset, source.period, source.holds)
    first_at: int | None = None
    last_at: int | None = None
    for block in _text_blocks(source, dataset, layout):
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
            held = int(counted_at[place]) if place >= 0 else -1  # noqa: B023
            return int(micros[held]) + jitter if held >= 0 else last_at  # noqa: B023

        lines = _lines(block, sorted(found))
        set_aside = [
            RowSetAside(int(block.numbers[place]), line, tuple(found[place]), at(place))
            for place, line in lines.items()
        ]
        for row in block.misshapen:
            what = f"the row has {row.column_count} columns instead of {len(block.columns)}"
            fault = Fault(what, row.line[:100], is_unreadable=True)
            place = int(np.searchsorted(block.numbers, row.number)) - 1
            set_aside.append(RowSetAside(row.number, row.line, (fault,), at(place)))
        set_aside.sort(key=lambda row: row.number)
        if has_time.any():
            first_at = int(micros[has_time][0]) + jitter if first_at is None else first_at
            last_at = int(micros[has_time][-1]) + jitter
        good = np.ones(len(block.numbers), dtype=bool)
        good[list(found)] = False
        if source.holds is not None:
            good &= pc.fill_null(is_of_period(table, source, dataset), False).to_numpy()
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
    """The rows with `schema`, empty where a value cannot be read, and the faults of faulty rows, by place."""
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
            values, unread = converted(texts, *reading_of(column, wanted, layout))
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
    for place, broken in _contract_faults(table, dataset, source, unreadable, is_inverse=layout.is_inverse):
        found.setdefault(place, []).append(broken)
    return table, found


def _contract_faults(
    table: pa.Table,
    dataset: Dataset,
    source: SourceFile,
    unreadable: Mapping[str, set[int]],
    *,
    is_inverse: bool,
) -> Iterator[tuple[int, Fault]]:
    """The faults of readable rows, by place. `unreadable`: places of values that are empty for that reason alone."""
    for breach in row_faults(table, dataset, source.period, source.holds, is_inverse=is_inverse):
        values = breach.values
        for place in np.flatnonzero(breach.failing.to_numpy()).tolist():
            if breach.what == "is empty":
                if place not in unreadable.get(breach.column, ()):
                    yield place, Fault(breach.label, None, is_unreadable=False)
            else:
                value = shown(values[place])
                if pa.types.is_decimal(values.type):
                    value = f"{values[place].as_py().normalize(EXACT):f}"
                yield place, Fault(breach.label, value, is_unreadable=False)


def _texts(raw: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """A column's bytes as text without surrounding blanks and quotes, empty text as no value; and what is not text."""
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
    """The text of some rows, as in the file."""
    if not places:
        return {}
    columns = [values.take(pa.array(places)).to_pylist() for values in block.columns.values()]
    lines = (b",".join(values).decode("utf-8", "replace") for values in zip(*columns, strict=True))
    return dict(zip(places, lines, strict=True))
