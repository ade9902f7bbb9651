"""The promise every stored row keeps, and the naming of every way it is broken.

Belongs here: checks on typed rows against their dataset and period. Does not: parsing, ordering, dropping of rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.arrow import LARGEST_VALUE, LIMITS
from ingestion.datasets import Dataset, Rule
from ingestion.errors import ContractViolation
from ingestion.periods import Period


class ContractCheck:
    """Checks a file batch by batch; `finish` raises once, naming every fault with its count and first place.

    `where` names the file in the message. `period` is the file's own: rows outside it are a violation. `holds`: first
    and (exclusive) last instant of a file that is not cut at the period's.
    """

    def __init__(
        self, dataset: Dataset, period: Period, where: str, holds: tuple[datetime, datetime] | None = None
    ) -> None:
        self._dataset, self._where = dataset, where
        starts_at, ends_at = holds or (period.starts_at, period.ends_at)
        self._start = pa.scalar(starts_at, type=pa.timestamp("us", tz="UTC"))
        self._end = pa.scalar(ends_at, type=pa.timestamp("us", tz="UTC"))
        self._period = f"{starts_at:%Y-%m-%d %H:%M} to {ends_at:%Y-%m-%d %H:%M} UTC" if holds else str(period)
        self._rows = 0
        self._faults: dict[str, tuple[int, str]] = {}

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Check typed rows that follow those added before, in file order."""
        for column in self._dataset.columns:
            values = rows.column(column.name)
            if not column.nullable and values.null_count:
                self._count(f"column `{column.name}` is empty", pc.is_null(values), values)
            if column.rule is Rule.NOT_NEGATIVE:
                self._count(
                    f"column `{column.name}` is negative", pc.less(values, pa.scalar(0, type=values.type)), values
                )
            if column.kind in LIMITS:
                limit = LIMITS[column.kind]
                too_large = pc.greater_equal(values, pa.scalar(limit, type=values.type))
                self._count(f"column `{column.name}` is {limit:.0e} or more, which no market has", too_large, values)
        if {"price", "quantity"} <= set(self._dataset.positive):
            prices, quantities = rows.column("price"), rows.column("quantity")
            highest, largest = pc.max(prices).as_py() or 0, pc.max(quantities).as_py() or 0
            if highest * largest >= LARGEST_VALUE:  # nearly never, and to multiply every row costs ten times as much
                worth = pc.multiply(prices.cast(pa.float64()), quantities.cast(pa.float64()))
                too_much = pc.greater_equal(worth, float(LARGEST_VALUE))
                fault = f"`price` × `quantity` is {LARGEST_VALUE:.0e} or more, which no trade is"
                self._count(fault, too_much, quantities)
        for part, whole in self._dataset.at_most:
            self._count(
                f"`{part}` exceeds `{whole}`", pc.greater(rows.column(part), rows.column(whole)), rows.column(part)
            )
        times = rows.column(self._dataset.time_column)
        past_end = pc.greater if self._dataset.closed_period else pc.greater_equal
        outside = pc.or_(pc.less(times, self._start), past_end(times, self._end))
        self._count(f"`{self._dataset.time_column}` lies outside {self._period}", outside, times)
        self._rows += rows.num_rows

    @property
    def has_faults(self) -> bool:
        """True once a row broke the contract: what follows is checked to be named, and not worth storing."""
        return bool(self._faults)

    def finish(self) -> None:
        if self._faults:
            raise ContractViolation(
                self._where,
                [f"{fault} in {count} rows, first {first}" for fault, (count, first) in self._faults.items()],
            )

    def _count(self, fault: str, failing: Any, values: Any) -> None:
        count = pc.sum(failing).as_py()
        if not count:
            return
        first = pc.index(failing, True).as_py()
        so_far, place = self._faults.get(fault, (0, f"at row {self._rows + first + 1}: {_shown(values[first])}"))
        self._faults[fault] = (so_far + count, place)


def _shown(value: pa.Scalar) -> str:
    """The value as text; a time beyond the calendar as its microseconds."""
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):
        return str(value.cast(pa.int64()).as_py())
