"""Bytes become typed rows: one packed CSV in, one ordered Parquet file out.

Belongs here: the entry points of this room, and the choice between streaming and sorting, fast reading and judging.
Does not: the steps (`unpack`, `parse`, `judge`, `order`, `parquet`), fetching, naming, which file belongs to what
(`ingestion.archive`).

A file is first read as one without faults, which is fast. Where that fails, it is read again as text, every row is
judged on its own, and the rows that cannot be used are set aside (`ingestion.decode.quarantine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from ingestion.decode.contracts import ContractCheck
from ingestion.decode.memory import use_fast_pool
from ingestion.decode.order import (
    OutOfOrder,
    as_integers,
    order_of,
    repeats,
    sorted_rows,
    stream,
    stream_of_good_rows,
    without_zero_rows,
)
from ingestion.decode.parquet import DayFacts, Decoded, write_rows
from ingestion.decode.parse import Faulty
from ingestion.decode.quarantine import QuarantineFile
from ingestion.decode.unpack import SourceFile
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import ContractViolation
from ingestion.domain.periods import Period
from ingestion.venues.venue import Layout

__all__ = ["DECODER_VERSION", "DayFacts", "Decoded", "SourceFile", "decode", "encode", "rewrite"]

# Part of every receipt: a higher number makes stored objects be decoded again from their source.
DECODER_VERSION: Final = 3


def decode(
    sources: Sequence[SourceFile],
    dataset: Dataset,
    layout: Layout,
    target: Path,
    carried: pa.Table | None = None,
    quarantine: Path | None = None,
) -> Decoded:
    """Write the rows of `sources` to the Parquet file `target`, in id order (time order where there is no id).

    `carried`: rows stored earlier, with the dataset's schema, that are not among those of `sources` and stay.
    `quarantine`: the Parquet file for rows that cannot be used; not written when there are no such rows.

    Raises SourceDefect or ContractViolation for a file of which nothing can be trusted: damaged, without a column, or
    with more than half of its rows unreadable or in breach of the contract; then neither file exists. The same input
    gives the same bytes.
    """
    use_fast_pool()
    aside = QuarantineFile(quarantine)
    where = " and ".join(source.key for source in sources)
    streams = dataset.id_column is not None and not layout.numbers_rows and len(sources) == 1 and carried is None
    try:
        try:
            if streams:
                try:
                    return write_rows(stream(sources[0], dataset, layout), dataset, layout, target, where)
                except OutOfOrder:
                    streams = False
            return write_rows(sorted_rows(sources, dataset, layout, carried), dataset, layout, target, where)
        except Faulty:
            pass
        if streams:
            try:
                return write_rows(
                    stream_of_good_rows(sources[0], dataset, layout, aside), dataset, layout, target, where
                )
            except OutOfOrder:
                aside.close()
        return write_rows(sorted_rows(sources, dataset, layout, carried, aside), dataset, layout, target, where)
    except BaseException:
        aside.close()
        for path in (target, quarantine):
            if path is not None:
                path.unlink(missing_ok=True)
        raise
    finally:
        aside.close()


def encode(rows: pa.Table, dataset: Dataset, period: Period, where: str, target: Path) -> Decoded:
    """Write rows that no file holds (of a REST API or a feed) to the Parquet file `target`, in time order.

    `rows`: with the dataset's schema, in any order; duplicates are written once. `where` names their
    origin in a fault. Raises ContractViolation; then `target` does not exist. The same rows give the same bytes.
    """
    check = ContractCheck(dataset, period, where)
    check.add(rows)
    check.finish()
    ordered = rows.take(pa.array(order_of(rows, dataset.time_column)))
    repeated = repeats(ordered)
    kept = ordered.filter(pa.array(~repeated))
    if dataset.one_per_time:
        clashing = np.flatnonzero(np.diff(as_integers(kept.column(dataset.time_column))) == 0)
        if len(clashing):
            twice = kept.column(dataset.time_column)[int(clashing[0])].as_py()
            fault = f"`{dataset.time_column}` {twice} and {len(clashing) - 1} others appear twice with different rows"
            raise ContractViolation(where, [fault])
    found = Decoded(source_rows=[rows.num_rows], duplicate_rows=int(repeated.sum()))
    try:
        return write_rows([without_zero_rows(kept, dataset, found), found], dataset, None, target, where)
    except ContractViolation:
        target.unlink(missing_ok=True)
        raise


def rewrite(rows: pa.Table, found: Decoded, dataset: Dataset, layout: Layout, target: Path) -> Decoded:
    """Write `rows`, which are the first of those that were decoded, to `target` in their place; the counts are theirs.

    Gaps between ids are those before the last row. A zero row that was dropped after it may hide one.
    """
    kept = write_rows([rows, replace(found)], dataset, layout, target)
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
