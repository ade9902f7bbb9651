"""The contract of stored rows, and the faults by which a row breaks it.

Belongs here: checks on typed rows against their dataset and period. Does not: parsing, ordering, dropping of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.decode.memory import integers
from ingestion.domain.arrow import INSTANT
from ingestion.domain.datasets import (
    EARLIEST,
    LARGEST_BASE,
    LARGEST_TOTAL_QUANTITY,
    LARGEST_TOTAL_VALUE,
    LARGEST_VALUE,
    LATEST,
    Column,
    Dataset,
    Rule,
)
from ingestion.domain.errors import ContractViolation
from ingestion.domain.kinds import Kind
from ingestion.domain.periods import Period

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = (EARLIEST - _EPOCH) // _MICROSECOND
_LATEST: Final = (LATEST - _EPOCH) // _MICROSECOND
_EXACT: Final = Context(prec=40)


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
    rows: pa.Table | pa.RecordBatch,
    dataset: Dataset,
    period: Period,
    holds: tuple[datetime, datetime] | None = None,
    *,
    is_inverse: bool = False,
) -> Iterator[RowFault]:
    """Every way in which some of the typed rows break the contract of their dataset, or lie outside their period.

    `holds`: the first instant of a file that is not cut at the period's, and the one that ends it (exclusive).
    `is_inverse`: the rows are trades of an inverse contract, whose quantity is divided by the price.
    """
    yield from value_faults(rows, dataset, is_inverse=is_inverse)
    yield from time_faults(rows, dataset, period, holds)


def value_faults(rows: pa.Table | pa.RecordBatch, dataset: Dataset, *, is_inverse: bool = False) -> Iterator[RowFault]:
    """Of `row_faults` those that do not depend on the period, so that rows of several files are looked at together."""
    bounds: dict[str, tuple[Any, Any]] = {}
    for column in dataset.columns:
        values = rows.column(column.name)
        if not column.nullable and values.null_count:
            yield RowFault(column.name, "is empty", pc.is_null(values), values)
        if column.kind is Kind.TEXT:
            yield from _text_faults(column, values)
        elif column.kind is Kind.INSTANT and column.name != dataset.time_column:
            yield from _instant_faults(column, values)
        elif column.limit is not None:
            found = extremes(values)
            if found is not None:
                bounds[column.name] = found
                yield from _number_faults(column, values, *bounds[column.name])
    if dataset.is_trades and {"price", "quantity"} <= bounds.keys():
        yield from _trade_faults(rows, bounds["price"], bounds["quantity"], is_inverse=is_inverse)
    for part, whole in dataset.at_most:
        failing = pc.greater(rows.column(part), rows.column(whole))
        if pc.any(failing).as_py():
            yield _fault(part, f"exceeds `{whole}`", failing, rows.column(part))
    for first, last, span in dataset.longest_span:
        if {first, last} <= bounds.keys() and bounds[last][1] - bounds[first][0] >= span:
            # Beyond 64 bits only where a value is too large by itself.
            apart = pc.subtract(rows.column(last).cast(pa.float64()), rows.column(first).cast(pa.float64()))
            failing = pc.greater_equal(apart, float(span))
            if pc.any(failing).as_py():
                yield _fault(last, f"is {span:.0e} or more after `{first}`", failing, rows.column(last))


def time_faults(
    rows: pa.Table | pa.RecordBatch, dataset: Dataset, period: Period, holds: tuple[datetime, datetime] | None = None
) -> Iterator[RowFault]:
    """Of `row_faults` the one of rows that lie outside their period."""
    times = rows.column(dataset.time_column)
    earliest, latest = bounds_of(dataset, period, holds)
    found = _whole_extremes(times)
    if found is not None and (found[0] < earliest or found[1] > latest):
        micros = times.cast(pa.int64())
        failing = pc.or_(pc.less(micros, earliest), pc.greater(micros, latest))
        yield _fault(dataset.time_column, f"lies outside {_span(period, holds)}", failing, times)


def _text_faults(column: Column, values: Any) -> Iterator[RowFault]:
    if column.accepts:
        failing = pc.invert(pc.is_in(values, pa.array(column.accepts, pa.string())))
        what = f"is none of {', '.join(text or '(empty)' for text in column.accepts)}"
    else:
        failing, what = (
            pc.greater(pc.utf8_length(values), column.longest),
            f"is longer than {column.longest} characters",
        )
    failing = pc.and_(pc.is_valid(values), failing)
    if pc.any(failing).as_py():
        yield _fault(column.name, what, failing, values)


def _instant_faults(column: Column, values: Any) -> Iterator[RowFault]:
    found = _whole_extremes(values)
    if found is not None and (found[0] < _EARLIEST or found[1] >= _LATEST):
        micros = values.cast(pa.int64())
        failing = pc.or_(pc.less(micros, _EARLIEST), pc.greater_equal(micros, _LATEST))
        yield _fault(column.name, f"lies outside {EARLIEST.year} to {LATEST.year - 1}", failing, values)


def _number_faults(column: Column, values: Any, lowest: Any, highest: Any) -> Iterator[RowFault]:
    """Numbers that are negative, too large, or less than the least of the column."""
    if column.rule is Rule.NOT_NEGATIVE and lowest < 0:
        yield _fault(column.name, "is negative", pc.less(values, pa.scalar(0, type=values.type)), values)
    if column.at_least is not None and lowest < column.at_least:
        least = pa.scalar(column.at_least, type=values.type)
        yield _fault(column.name, f"is less than {column.at_least}", pc.less(values, least), values)
    limit = column.limit
    if limit is None or max(highest, -lowest) < limit:
        return
    if pa.types.is_decimal(values.type) and max(highest, -lowest) > largest(values.type):
        most, what, above, under = largest(values.type), too_large(values.type), pc.greater, pc.less
    else:
        most, what = limit, f"is {_shown_limit(limit)} or more, which no market has"
        above, under = pc.greater_equal, pc.less_equal
    bound = most if pa.types.is_decimal(values.type) else int(most)
    failing = above(values, pa.scalar(bound, type=values.type))
    if lowest < 0 and column.rule is not Rule.NOT_NEGATIVE:
        negated = bound.copy_negate() if isinstance(bound, Decimal) else -bound
        failing = pc.or_(failing, under(values, pa.scalar(negated, type=values.type)))
    yield _fault(column.name, what, failing, values)


def _shown_limit(limit: Decimal) -> str:
    return f"{limit:.0e}" if limit >= 1000 and limit.normalize().as_tuple().digits == (1,) else f"{limit:f}"


def _trade_faults(
    rows: Any, price: tuple[Any, Any], quantity: tuple[Any, Any], *, is_inverse: bool
) -> Iterator[RowFault]:
    """A trade is worth less than LARGEST_VALUE; one of an inverse contract moves less than LARGEST_BASE."""
    lowest, highest = price
    most = quantity[1]
    # Nearly always the bounds suffice, and to multiply every row costs ten times as much.
    is_possible = highest * most < LARGEST_VALUE and not (is_inverse and most >= LARGEST_BASE * lowest)
    if is_possible:
        return
    prices, quantities = (rows.column(name).cast(pa.float64()) for name in ("price", "quantity"))
    too_much = pc.fill_null(pc.greater_equal(pc.multiply(prices, quantities), float(LARGEST_VALUE)), False)
    if pc.any(too_much).as_py():
        what = f"× `quantity` is {LARGEST_VALUE:.0e} or more, which no trade is"
        yield _fault("price", what, too_much, rows.column("quantity"))
    if is_inverse:
        is_much = pc.greater_equal(quantities, pc.multiply(prices, float(LARGEST_BASE)))
        too_much = pc.fill_null(pc.and_(is_much, pc.greater(prices, 0.0)), False)
        if pc.any(too_much).as_py():
            what = f"÷ `price` is {LARGEST_BASE:.0e} or more, which no trade is"
            yield _fault("quantity", what, too_much, rows.column("quantity"))


def value_fault(column: Column, value: Any) -> str | None:
    """What is wrong with one value of a row that has no Arrow type yet, in a sentence without full stop; None when
    nothing is. The same rules as of `row_faults`, for messages that come one by one."""
    if value is None:
        return None if column.nullable else f"`{column.name}` is empty"
    fault = None
    if column.kind is Kind.TEXT:
        if column.accepts and value not in column.accepts:
            fault = f"is none of {', '.join(text or '(empty)' for text in column.accepts)}"
        elif not column.accepts and len(value) > column.longest:
            fault = f"is longer than {column.longest} characters"
    elif column.kind is Kind.INSTANT:
        if not EARLIEST <= value < LATEST:
            fault = f"lies outside {EARLIEST.year} to {LATEST.year - 1}"
    elif column.limit is not None:
        if isinstance(value, Decimal) and not value.is_finite():
            fault = "is not a number"
        elif column.rule is Rule.NOT_NEGATIVE and value < 0:
            fault = "is negative"
        elif column.at_least is not None and value < column.at_least:
            fault = f"is less than {column.at_least}"
        elif not -column.limit < value < column.limit:
            fault = f"is {_shown_limit(column.limit)} or more, which no market has"
    return None if fault is None else f"`{column.name}` {str(value)[:100]} {fault}"


class TotalCheck:
    """What the trades of one object add up to: what a bar can hold. Raises ContractViolation with the first rows that
    are too many. The bounds of a batch are added where they suffice, since to add every row costs more."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._value = self._quantity = 0.0

    def add(self, trades: pa.Table, highest_price: Decimal, most: Decimal) -> None:
        """`highest_price` and `most`: the largest price and quantity of the trades."""
        price, quantity = float(highest_price), float(most)
        value, amount = price * quantity * trades.num_rows, quantity * trades.num_rows
        if self._value + value >= LARGEST_TOTAL_VALUE or self._quantity + amount >= LARGEST_TOTAL_QUANTITY:
            prices, quantities = (trades.column(name).cast(pa.float64()) for name in ("price", "quantity"))
            value, amount = pc.sum(pc.multiply(prices, quantities)).as_py() or 0.0, pc.sum(quantities).as_py() or 0.0
        self._value += value
        self._quantity += amount
        faults = []
        if self._value >= LARGEST_TOTAL_VALUE:
            faults.append(f"`price` × `quantity` of all rows is {LARGEST_TOTAL_VALUE:.0e} or more, which no day is")
        if self._quantity >= LARGEST_TOTAL_QUANTITY:
            faults.append(f"`quantity` of all rows is {LARGEST_TOTAL_QUANTITY:.0e} or more, which no day is")
        if faults:
            raise ContractViolation(self._where, faults)


def extremes(values: Any) -> tuple[Any, Any] | None:
    """The least and the largest value; None without any."""
    if values.type == INSTANT:
        micros = _whole_extremes(values)
        return None if micros is None else (_EPOCH + micros[0] * _MICROSECOND, _EPOCH + micros[1] * _MICROSECOND)
    if pa.types.is_int64(values.type):
        return _whole_extremes(values)
    found = _plain_extremes(values) if pa.types.is_decimal128(values.type) else None
    if found is None:
        ends = pc.min_max(values).as_py()
        found = None if ends["min"] is None else (ends["min"], ends["max"])
    return found


def has_zero(decimals: Any) -> bool:
    """Whether one of the decimals, of which none is missing, may be zero: never false where one is."""
    for chunk in decimals.chunks if isinstance(decimals, pa.ChunkedArray) else [decimals]:
        words = np.frombuffer(chunk.buffers()[1], "<i8").reshape(-1, 2)[chunk.offset : chunk.offset + len(chunk)]
        if not words[:, 0].all():
            return True
    return False


def _whole_extremes(values: Any) -> tuple[int, int] | None:
    """The same of integers, or of times in microseconds."""
    if values.null_count:
        ends = pc.min_max(values.cast(pa.int64())).as_py()
        return None if ends["min"] is None else (ends["min"], ends["max"])
    words = integers(values)
    return (int(words.min()), int(words.max())) if len(words) else None


def _plain_extremes(decimals: Any) -> tuple[Decimal, Decimal] | None:
    """The same of decimals that are not negative and whose units take 64 bits, in a tenth of Arrow's time; None where
    there are others."""
    found = []
    for chunk in decimals.chunks if isinstance(decimals, pa.ChunkedArray) else [decimals]:
        if chunk.null_count:
            return None
        if len(chunk):
            words = np.frombuffer(chunk.buffers()[1], "<i8").reshape(-1, 2)[chunk.offset : chunk.offset + len(chunk)]
            units = np.ascontiguousarray(words[:, 0])
            least, most = int(units.min()), int(units.max())
            if least < 0 or words[:, 1].any():
                return None
            found += [least, most]
    if not found:
        return None
    lowest, highest = (Decimal(each).scaleb(-decimals.type.scale, _EXACT) for each in (min(found), max(found)))
    return lowest, highest


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

    def __init__(self, dataset: Dataset, period: Period, where: str, *, is_inverse: bool = False) -> None:
        self._dataset, self._where, self._period, self._is_inverse = dataset, where, period, is_inverse
        self._rows = 0
        self._faults: dict[str, tuple[int, str]] = {}

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Check typed rows that follow those added before, in file order."""
        for fault in row_faults(rows, self._dataset, self._period, is_inverse=self._is_inverse):
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
