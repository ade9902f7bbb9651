"""Ordering: rows by id or time, without duplicates; what the order reveals.

Belongs here: streaming a file that is in order, sorting files that are not, the one rule for duplicate rows, rows that
contradict each other, gaps between ids.
Does not: parsing (`ingestion.decode.parse`), writing (`ingestion.decode.parquet`).

A file whose rows come in id order, as nearly all do, streams through in blocks, so memory does not grow with the file.
A file that breaks the order, and one whose rows the venue does not number, is held in memory and sorted: the place of
a row is known only once all rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.decode.contracts import has_zero, shown
from ingestion.decode.judge import judged_blocks
from ingestion.decode.memory import integers
from ingestion.decode.parquet import Decoded, Item
from ingestion.decode.parse import Faulty, read_schema, rows_of_period, typed_tables
from ingestion.decode.quarantine import Fault, Quarantined, QuarantineFile, Tally
from ingestion.decode.unpack import SourceFile
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.venues.venue import Layout

# A row's origin in one number: the place of its source, and its own number in it.
_PER_SOURCE: Final = 1 << 40
_CARRIED: Final = -1


class OutOfOrder(Exception):
    """The rows of a file do not come in strictly increasing id order: it must be held in memory and sorted."""


def stream(source: SourceFile, dataset: Dataset, layout: Layout) -> Iterator[Item]:
    """Tables of ordered rows as they are read, then the counts.

    `OutOfOrder` when the file is not in id order, `Faulty` when a row of it is faulty.
    """
    found = Decoded()
    order = _IdOrder(dataset)
    for _, table in typed_tables([source], dataset, layout):
        found.rows += table.num_rows
        wanted = rows_of_period(table, source, dataset)
        if wanted.num_rows:
            order.add(wanted)
            yield without_zero_rows(wanted, dataset, found)
    found.source_rows = [found.rows]
    order.complete(found)
    yield found


def stream_of_good_rows(source: SourceFile, dataset: Dataset, layout: Layout, aside: QuarantineFile) -> Iterator[Item]:
    """As `stream`, of a file with faulty rows: those are set aside."""
    found = Decoded()
    order = _IdOrder(dataset)
    tally = Tally(source.key, source.period, is_cut_elsewhere=source.holds is not None)
    rows, first_at = 0, None
    for block in judged_blocks(source, dataset, layout):
        rows, first_at = rows + block.row_count, block.first_at
        tally.add(block.set_aside)
        aside.add(source.key, filter(tally.counts, block.set_aside))
        if block.good.num_rows:
            order.add(block.good)
            yield without_zero_rows(block.good, dataset, found)
    found.quarantined = tally.finish(rows, first_at)
    found.source_rows = [rows]
    order.complete(found)
    yield found


class _IdOrder:
    """The ids of tables that follow each other: strictly increasing, else `OutOfOrder`; and how many are missing."""

    def __init__(self, dataset: Dataset) -> None:
        self._name = dataset.id_column
        self._first: int | None = None
        self._last: int | None = None
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        ids = integers(table.column(self._name))
        if not (ids[1:] > ids[:-1]).all() or (self._last is not None and ids[0] <= self._last):
            raise OutOfOrder
        self._first = int(ids[0]) if self._first is None else self._first
        self._last = int(ids[-1])
        self._rows += len(ids)

    def complete(self, found: Decoded) -> None:
        found.first_id, found.last_id = self._first, self._last
        if self._first is not None and self._last is not None:
            found.id_gaps = self._last - self._first + 1 - self._rows


def sorted_rows(
    sources: Sequence[SourceFile],
    dataset: Dataset,
    layout: Layout,
    carried: pa.Table | None,
    aside: QuarantineFile | None = None,
) -> Iterator[Item]:
    """All rows of all sources as one sorted table without duplicates, then the counts.

    Without `aside`, `Faulty` when a row is faulty, or two rows contradict each other; with it, those rows are set
    aside.
    """
    found = Decoded()
    order_by = (None if layout.numbers_rows else dataset.id_column) or dataset.time_column
    if aside is None:
        table = _read_good(sources, dataset, layout, carried, found)
        if layout.identity is None and _is_increasing(table.column(order_by)):
            # Nearly always: nothing to sort, and no row twice.
            yield from _counted(table.combine_chunks(), dataset, layout, found)
            return
    else:
        table, origins = _read_judged(sources, dataset, layout, carried, found)
    # Every column takes part, so that equal rows are neighbours and the same rows always give the same bytes.
    order = order_of(table, order_by)
    ordered = table.take(pa.array(order))
    del table
    repeated = repeats(ordered)
    keys = [order_by] if order_by == dataset.id_column or dataset.one_per_time else []
    keys += [layout.identity] if layout.identity is not None else []
    if aside is None:
        if any(_clashing(ordered.column(key), repeated).any() for key in keys):
            raise Faulty
    else:
        contradictions = _contradictions(sources, ordered, repeated, keys, origins[order])
        found.quarantined = _set_aside(sources, dataset, layout, contradictions, aside)
        if contradictions:
            usable = ~np.isin(origins[order], list(contradictions))
            order, repeated, ordered = order[usable], repeated[usable], ordered.filter(pa.array(usable))
    found.duplicate_rows = int(repeated.sum())
    kept = ordered.filter(pa.array(~repeated)) if found.duplicate_rows else ordered
    del ordered
    # Back in file order, without the duplicates and those of no file: which rows follow a higher one?
    places = order[~repeated]
    of_no_file = int((places < (carried.num_rows if carried is not None else 0)).sum())
    in_file = as_integers(kept.column(order_by))[np.argsort(places)][of_no_file:]
    if len(in_file):
        found.out_of_order_rows = int((in_file < np.maximum.accumulate(in_file)).sum())
    yield from _counted(kept, dataset, layout, found)


def _counted(kept: pa.Table, dataset: Dataset, layout: Layout, found: Decoded) -> Iterator[Item]:
    """The sorted rows as they are stored, then the counts."""
    kept = _as_stored(kept, dataset, layout)
    if dataset.id_column is not None and kept.num_rows:
        ids = integers(kept.column(dataset.id_column))
        found.first_id, found.last_id = int(ids[0]), int(ids[-1])
        found.id_gaps = found.last_id - found.first_id + 1 - len(ids)
    yield without_zero_rows(kept, dataset, found)
    yield found


def _is_increasing(values: pa.ChunkedArray) -> bool:
    """Whether no value is missing, and each is greater than the one before."""
    if values.null_count:
        return False
    words = integers(values)
    return bool((words[1:] > words[:-1]).all())


def _read_good(
    sources: Sequence[SourceFile], dataset: Dataset, layout: Layout, carried: pa.Table | None, found: Decoded
) -> pa.Table:
    """The rows of all sources in one table, which has none that is faulty; `found` gets the row counts."""
    tables = [_no_rows(read_schema(dataset, layout)) if carried is None else carried]
    rows, held = dict.fromkeys(sources, 0), 0
    for source, table in typed_tables(sources, dataset, layout):
        tables.append(rows_of_period(table, source, dataset))
        held += tables[-1].num_rows
        _check_memory(held, source, dataset)
        rows[source] += table.num_rows
    found.source_rows = [rows[source] for source in sources]
    return pa.concat_tables(tables)


def _no_rows(schema: pa.Schema) -> pa.Table:
    """As `schema.empty_table()`, which imports pandas (`ingestion.decode.memory`)."""
    return pa.Table.from_batches([], schema)


def _read_judged(
    sources: Sequence[SourceFile], dataset: Dataset, layout: Layout, carried: pa.Table | None, found: Decoded
) -> tuple[pa.Table, Any]:
    """The good rows of all sources in one table, and their origins; `found` gets the row counts."""
    tables = [_no_rows(read_schema(dataset, layout)) if carried is None else carried]
    origins = [np.full(tables[0].num_rows, _CARRIED)]
    held = 0
    for place, source in enumerate(sources):
        tally = Tally(source.key, source.period, is_cut_elsewhere=source.holds is not None)
        rows, first_at = 0, None
        for block in judged_blocks(source, dataset, layout):
            tables.append(block.good)
            held += block.good.num_rows
            _check_memory(held, source, dataset)
            origins.append(place * _PER_SOURCE + block.good_numbers)
            tally.add(block.set_aside)
            rows, first_at = rows + block.row_count, block.first_at
        tally.finish(rows, first_at)
        found.source_rows.append(rows)
    return pa.concat_tables(tables), np.concatenate(origins)


def _check_memory(rows: int, source: SourceFile, dataset: Dataset) -> None:
    if rows > dataset.files.rows_in_memory:
        raise SourceDefect(
            f"{source.key} cannot be read: its rows are not in the order of their ids, and there are more than "
            f"{dataset.files.rows_in_memory} to be sorted in memory; nothing of it was stored"
        )


def _contradictions(
    sources: Sequence[SourceFile], ordered: pa.Table, repeated: Any, keys: Sequence[str], origins: Any
) -> dict[int, list[Fault]]:
    """Rows, by origin, that share a key and differ otherwise. ContractViolation when one of them was stored earlier."""
    found: dict[int, list[Fault]] = {}
    for name in keys:
        clashing = _clashing(ordered.column(name), repeated)
        if not clashing.any():
            continue
        label = f"`{name}` is that of several rows with different contents"
        places = origins[clashing]
        values = ordered.column(name).filter(pa.array(clashing))
        if (places == _CARRIED).any():
            where = " and ".join(source.key for source in sources)
            raise ContractViolation(where, [f"{label}, one of them stored earlier: `{shown(values[0])}`"])
        for origin, value in zip(places.tolist(), values, strict=True):
            found.setdefault(origin, []).append(Fault(label, shown(value), is_unreadable=False))
    return found


def _as_stored(kept: pa.Table, dataset: Dataset, layout: Layout) -> pa.Table:
    """The columns that are stored: without what only identifies a trade, and with ids where the venue has none."""
    if layout.identity is not None:
        kept = kept.drop_columns(layout.identity)
    if layout.numbers_rows:
        place = kept.schema.get_field_index(dataset.id_column)
        numbers = pa.array(np.arange(1, kept.num_rows + 1))
        kept = kept.set_column(place, kept.schema.field(place), numbers)
    return kept


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
        for block in judged_blocks(source, dataset, layout, own):
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


def order_of(table: pa.Table, first: str) -> Any:
    """The places of the rows, ascending by the column `first` and then by every other one."""
    names = [first, *(name for name in table.column_names if name != first)]
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names]).to_numpy()


def repeats(ordered: pa.Table) -> Any:
    """Boolean array: row n equals row n − 1 in every column (an empty value equals an empty value).

    The one rule for duplicates: callers order the rows, and select the columns that identify one.
    """
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


def as_integers(values: Any) -> Any:
    return (values.cast(pa.int64()) if values.type == INSTANT else values).to_numpy()


def without_zero_rows(table: pa.Table, dataset: Dataset, found: Decoded) -> pa.Table:
    """Drop rows with a zero price or quantity (a known defect of the venue's files), and count them."""
    positive = [table.column(name) for name in dataset.positive]
    if not any(values.null_count or has_zero(values) for values in positive):
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
