"""A settled month of daily objects as one object: what it consists of, and its days as if they still had their own.

Belongs here: the rows and the receipt of a merged month, the receipt of one of its days, changing that receipt. Does
not: which months are merged, and when the former objects go (`ingestion.raw.merging`).

The month's object lies where a month's of any dataset does (`…/month=2024-08`). Its rows are those of the days, in
their order, with one more column, `date`: the day whose object a row comes from, which its time alone does not tell.
Row groups end with days where they can, so that a reader of one day skips the others. Its receipt holds the receipts of
the days as they were. **A day that has a receipt of its own is that receipt's, whatever the month has of it**: so a
correction of one day is stored as ever, and until the former objects go, nothing counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.decode.parquet import ROW_GROUP, parquet_writer
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import StorageError
from ingestion.raw.names import RECEIPT, month_of
from ingestion.raw.receipts import ObjectId, Receipt, readable, receipt_of
from ingestion.raw.schema import with_todays_schema
from ingestion.raw.store import ObjectStore

DATE: Final = "date"
_DATE: Final = pa.field(DATE, pa.date32(), metadata={"description": "UTC day whose object the row comes from."})
# Each attempt that fails is another process's change of the same month.
_MOST_ATTEMPTS: Final = 16


def receipt_in_month(store: ObjectStore, folder: str) -> Receipt | None:
    """The receipt of the day whose object lay in the folder, as its month's receipt has it; None where none has."""
    month = month_of(folder)
    payload = store.get_bytes(month + RECEIPT) if month else None
    held = _month(payload) if payload else None
    return held.of_day(folder) if held is not None and held.folder == month else None


@lru_cache(maxsize=64)
def _month(payload: bytes) -> Receipt | None:
    """Each of its days is looked up in the same receipt."""
    return readable(payload)


def annotated(store: ObjectStore, receipt: Receipt) -> Receipt:
    """Put this receipt of a day into that of its month, whose data stays as it is; the receipt, as the month has it
    now. StorageError."""
    key = f"{month_of(receipt.folder)}{RECEIPT}"
    for _ in range(_MOST_ATTEMPTS):
        payload, version = store.get_version(key) or (b"", "")
        month = readable(payload)
        if month is None or month.of_day(receipt.folder) is None:
            break
        own = replace(receipt, within=None)
        month = replace(month, merged=tuple(own if day.folder == own.folder else day for day in month.merged))
        if store.replace_bytes(key, month.to_json(), version):
            return replace(own, within=month)
    raise StorageError(f"{store.url(key)} changed while {receipt.period} was noted in it; run the same command again")


def receipt_of_month(object_id: ObjectId, days: Sequence[Receipt], data: Path | None, now: datetime) -> Receipt:
    """The receipt of the month, made of the receipts of all its days, in order. `data`: its Parquet; None where none of
    the days has rows of its own."""
    stored = [day for day in days if day.status == "stored"]
    ids = [each for day in stored for each in (day.first_id, day.last_id) if each is not None]
    times = [each for day in stored for each in (day.min_at, day.max_at) if each is not None]
    return receipt_of(
        object_id,
        now=now,
        version=max(day.decoder_version for day in days),
        days=(days[0].first_day, days[-1].last_day),
        status="stored" if data is not None else "absent",
        data=data,
        rows=sum(day.rows for day in stored),
        day_rows={day.period: day.rows for day in stored},
        absent_days=tuple(day.first_day for day in days if day.status == "absent"),
        **{name: sum(getattr(day, name) for day in stored) for name in _SUMMED},
        first_id=min(ids, default=None),
        last_id=max(ids, default=None),
        min_at=min(times, default=None),
        max_at=max(times, default=None),
        merged=tuple(replace(day, within=None) for day in days),
    )


_SUMMED: Final = ("id_gaps", "duplicate_rows", "zero_rows", "out_of_order_rows")


def schema_of_month(dataset: Dataset) -> pa.Schema:
    """The stored Arrow schema of a merged month."""
    return dataset.schema.append(_DATE)


def write_month(days: Iterable[tuple[date, Iterable[pa.Table]]], dataset: Dataset, target: Path) -> dict[date, int]:
    """Write the rows of the days, in order, as one Parquet file; how many there were of each. A row group in memory at
    a time, and the same rows give the same bytes."""
    counts: dict[date, int] = {}
    with parquet_writer(schema_of_month(dataset), target) as writer:
        pending: list[pa.Table] = []

        def write() -> None:
            if pending:
                writer.write_table(pa.concat_tables(pending).combine_chunks(), row_group_size=ROW_GROUP)
                pending.clear()

        for day, tables in days:
            counts[day] = 0
            for table in tables:
                for first in range(0, table.num_rows, ROW_GROUP):
                    rows = table.slice(first, ROW_GROUP)
                    counts[day] += rows.num_rows
                    if sum(each.num_rows for each in pending) + rows.num_rows > ROW_GROUP:
                        write()
                    pending.append(rows.append_column(_DATE, pa.array([day] * rows.num_rows, pa.date32())))
        write()
    return counts


def rows_of_object(source: Path | BinaryIO, dataset: Dataset, day: date | None = None) -> Iterator[pa.Table]:
    """The rows of a stored object, a row group at a time; with `day`, those that a merged month has of it."""
    with pq.ParquetFile(source) as file:
        for number in range(file.num_row_groups):
            if day is not None and not _may_hold(file, number, day):
                continue
            rows = file.read_row_group(number)
            if day is not None:
                rows = rows.filter(pc.equal(rows.column(DATE), pa.scalar(day, pa.date32())))
            yield with_todays_schema(rows, dataset)


def _may_hold(file: pq.ParquetFile, number: int, day: date) -> bool:
    group = file.metadata.row_group(number)
    found = group.column(file.schema_arrow.get_field_index(DATE)).statistics
    return found is None or not found.has_min_max or bool(found.min <= day <= found.max)
