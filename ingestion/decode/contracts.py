"""The contract of stored rows, and the faults by which a row breaks it.

Belongs here: checks on typed rows against their dataset and period. Does not: parsing, ordering, dropping of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.domain.arrow import LARGEST_VALUE, LIMITS
from ingestion.domain.datasets import Dataset, Rule
from ingestion.domain.errors import ContractViolation
from ingestion.domain.periods import Period

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class RowFault:
    """One way in which rows break the contract: the rows as a boolean array, and the values that are at fault.

    `what` goes on where the column's name ends: "is negative".
    """

    column: str
    what: str
    failing: Any
    values: Any

    @property
    def label(self) -> str:
        return f"`{self.column}` {self.what}"


def row_faults(
    rows: pa.Table | pa.RecordBatch, dataset: Dataset, period: Period, holds: tuple[datetime, datetime] | None = None
) -> Iterator[RowFault]:
    """Every way in which some of the typed rows break the contract of their dataset, or lie outside their period.

    `holds`: the first instant of a file that is not cut at the period's, and the one that ends it (exclusive).
    """
    for column in dataset.columns:
        values = rows.column(column.name)
        if not column.nullable and values.null_count:
            yield RowFault(column.name, "is empty", pc.is_null(values), values)
        is_decimal = pa.types.is_decimal(values.type)
        if column.rule is Rule.NOT_NEGATIVE or is_decimal:
            bounds = pc.min_max(values).as_py()
            if bounds["min"] is None:
                continue
            if column.rule is Rule.NOT_NEGATIVE and bounds["min"] < 0:
                yield _fault(column.name, "is negative", pc.less(values, pa.scalar(0, type=values.type)), values)
            if is_decimal and max(bounds["max"], bounds["min"].copy_abs()) > largest(values.type):
                most = largest(values.type)
                above = pc.greater(values, pa.scalar(most, type=values.type))
                failing = pc.or_(above, pc.less(values, pa.scalar(most.copy_negate(), type=values.type)))
                yield _fault(column.name, too_large(values.type), failing, values)
            elif column.kind in LIMITS and bounds["max"] >= LIMITS[column.kind]:
                limit = LIMITS[column.kind]
                failing = pc.greater_equal(values, pa.scalar(limit, type=values.type))
                yield _fault(column.name, f"is {limit:.0e} or more, which no market has", failing, values)
    if {"price", "quantity"} <= set(dataset.positive):
        yield from _worth_too_much(rows.column("price"), rows.column("quantity"))
    for part, whole in dataset.at_most:
        failing = pc.greater(rows.column(part), rows.column(whole))
        if pc.any(failing).as_py():
            yield _fault(part, f"exceeds `{whole}`", failing, rows.column(part))
    times = rows.column(dataset.time_column)
    earliest, latest = bounds_of(dataset, period, holds)
    bounds = pc.min_max(times.cast(pa.int64())).as_py()
    if bounds["min"] is not None and (bounds["min"] < earliest or bounds["max"] > latest):
        micros = times.cast(pa.int64())
        failing = pc.or_(pc.less(micros, earliest), pc.greater(micros, latest))
        yield _fault(dataset.time_column, f"lies outside {_span(period, holds)}", failing, times)


def _worth_too_much(prices: Any, quantities: Any) -> Iterator[RowFault]:
    highest, most = pc.max(prices).as_py() or 0, pc.max(quantities).as_py() or 0
    if highest * most < LARGEST_VALUE:  # nearly always, and to multiply every row costs ten times as much
        return
    worth = pc.multiply(prices.cast(pa.float64()), quantities.cast(pa.float64()))
    too_much = pc.fill_null(pc.greater_equal(worth, float(LARGEST_VALUE)), False)
    if pc.any(too_much).as_py():
        yield _fault("price", f"× `quantity` is {LARGEST_VALUE:.0e} or more, which no trade is", too_much, quantities)


def _span(period: Period, holds: tuple[datetime, datetime] | None) -> str:
    return str(period) if holds is None else f"{holds[0]:%Y-%m-%d %H:%M} to {holds[1]:%Y-%m-%d %H:%M} UTC"


def bounds_of(dataset: Dataset, period: Period, holds: tuple[datetime, datetime] | None = None) -> tuple[int, int]:
    """The first and the last instant of a row of that period's file, in microseconds since the epoch."""
    jitter = dataset.jitter // _MICROSECOND
    starts_at, ends_at = holds or (period.starts_at, period.ends_at)
    earliest = (starts_at - _EPOCH) // _MICROSECOND - jitter
    latest = (ends_at - _EPOCH) // _MICROSECOND + jitter
    return earliest, latest if dataset.closed_period or jitter else latest - 1


def largest(stored: pa.Decimal128Type) -> Decimal:
    """The largest number of a stored decimal type."""
    return Decimal((0, (9,) * stored.precision, -stored.scale))


def too_large(stored: pa.Decimal128Type) -> str:
    """The message for a number with more digits before its point than its stored type: the limit is Taker's."""
    return f"has more than the {stored.precision - stored.scale} digits before the point that Taker stores"


def _fault(column: str, what: str, failing: Any, values: Any) -> RowFault:
    return RowFault(column, what, pc.fill_null(failing, False), values)


class ContractCheck:
    """Checks a file batch by batch; `finish` raises once, naming every fault with its count and first place.

    `where` names the file in the message. `period` is the file's own: rows outside it are a violation.
    """

    def __init__(self, dataset: Dataset, period: Period, where: str) -> None:
        self._dataset, self._where, self._period = dataset, where, period
        self._rows = 0
        self._faults: dict[str, tuple[int, str]] = {}

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Check typed rows that follow those added before, in file order."""
        for fault in row_faults(rows, self._dataset, self._period):
            name = f"column {fault.label}" if fault.what in ("is empty", "is negative") else fault.label
            first = pc.index(fault.failing, True).as_py()
            place = f"at row {self._rows + first + 1}: {shown(fault.values[first])}"
            so_far, place = self._faults.get(name, (0, place))
            self._faults[name] = (so_far + pc.sum(fault.failing).as_py(), place)
        self._rows += rows.num_rows

    @property
    def has_faults(self) -> bool:
        """True once a row broke the contract."""
        return bool(self._faults)

    def finish(self) -> None:
        if self._faults:
            raise ContractViolation(
                self._where,
                [f"{fault} in {count} rows, first {first}" for fault, (count, first) in self._faults.items()],
            )


def shown(value: pa.Scalar) -> str:
    """The value as text; a time beyond the calendar as its microseconds."""
    try:
        return str(value.as_py())
    except (OverflowError, ValueError):
        return str(value.cast(pa.int64()).as_py())
