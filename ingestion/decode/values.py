"""Single values of a faulty source file: text to the stored type, or what is wrong with the text.

Belongs here: one rule per type, which reads the same value as the fast reading of entire columns.
Does not: which rows are set aside (`ingestion.decode.judge`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.decode.contracts import largest, too_large
from ingestion.decode.numerals import refuse_unsafe
from ingestion.decode.parse import MICROSECONDS_FROM, boolean_words, instants, instants_of_seconds, rounded
from ingestion.domain.arrow import INSTANT, too_fine
from ingestion.venues.venue import Layout, SourceColumn

NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_TEXT_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)?", re.ASCII)
# Digits of the longest number that is considered: more than any stored type has.
EXACT: Final = Context(prec=400, rounding=ROUND_HALF_EVEN)
_LONGEST_NUMBER: Final = 150
# Values that are parsed one by one rather than by halves.
_FEW: Final = 16


class Unreadable(ValueError):
    """A text is not a value of its column; the message continues after the column's name."""


# How a column is read: all of it at once (ArrowInvalid when that fails), one value (`Unreadable`), and its type.
_Reading: TypeAlias = "tuple[Callable[[pa.Array], pa.Array], Callable[[str], Any], pa.DataType]"


def converted(
    texts: pa.Array, at_once: Callable[[pa.Array], pa.Array], one: Callable[[str], Any], wanted: pa.DataType
) -> tuple[pa.Array, list[tuple[int, str]]]:
    """The values of a column, and what is wrong with those that cannot be read (empty then), by place.

    As many as possible at once: where that fails, each half of them by itself, and the last few one by one.
    """
    try:
        return at_once(texts), []
    except pa.ArrowInvalid:
        pass
    count = len(texts)
    if count > _FEW:
        halves = texts.slice(0, count // 2), texts.slice(count // 2)
        (values, bad), (more, also) = (converted(half, at_once, one, wanted) for half in halves)
        return pa.concat_arrays([values, more]), [*bad, *((place + count // 2, what) for place, what in also)]
    read: list[Any] = []
    faults: list[tuple[int, str]] = []
    for place, text in enumerate(texts.to_pylist()):
        try:
            read.append(None if text is None else one(text))
        except Unreadable as error:
            read.append(None)
            faults.append((place, str(error)))
    return pa.array(read, wanted), faults


def reading_of(column: SourceColumn, wanted: pa.DataType, layout: Layout) -> _Reading:
    """How a column of a faulty file is read: with the same results as the fast reading."""
    if column.time == "epoch":
        return lambda texts: instants(texts.cast(pa.int64())), _one_epoch, wanted
    if column.time == "epoch_seconds":
        return lambda texts: instants_of_seconds(refuse_unsafe(texts)), _one_of_seconds, wanted
    if column.time == "text":
        return lambda texts: texts.cast(pa.timestamp("s")).cast(pa.timestamp("us")).cast(INSTANT), _one_time, wanted
    if pa.types.is_boolean(wanted):
        words = boolean_words(layout)
        return lambda texts: _flags(texts, *words), lambda text: _one_flag(text, *words), wanted
    if pa.types.is_int64(wanted):
        return lambda texts: texts.cast(pa.int64()), _one_whole, wanted
    if pa.types.is_decimal(wanted):
        if column.is_rounded:
            return lambda texts: rounded(refuse_unsafe(texts), wanted), lambda text: _one_rounded(text, wanted), wanted
        return lambda texts: refuse_unsafe(texts).cast(wanted), lambda text: _one_decimal(text, wanted), wanted
    return lambda texts: texts, str, wanted


def _flags(texts: pa.Array, true_words: list[str], false_words: list[str]) -> pa.Array:
    is_true = pc.is_in(texts, pa.array(true_words))
    known = pc.or_(is_true, pc.is_in(texts, pa.array(false_words)))
    if pc.any(pc.invert(pc.or_(known, texts.is_null()))).as_py():
        raise pa.ArrowInvalid("a word that is neither")
    return pc.if_else(known, is_true, None)


def _one_flag(text: str, true_words: list[str], false_words: list[str]) -> bool:
    if text not in true_words and text not in false_words:
        raise Unreadable(f"is not {true_words[0]} or {false_words[0]}")
    return text in true_words


def _number(text: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise Unreadable("is not a number")
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        raise Unreadable("has more digits than Taker stores") from None
    # Beyond any stored type: exact arithmetic with `1e-999999999` would exhaust the memory.
    if len(number.as_tuple().digits) > _LONGEST_NUMBER or (number and abs(number.adjusted()) > _LONGEST_NUMBER):
        raise Unreadable("has more digits than Taker stores")
    return number if number else Decimal(0)


def _one_decimal(text: str, stored: pa.Decimal128Type) -> Decimal:
    number = _number(text)
    if number and number.adjusted() >= stored.precision - stored.scale:
        raise Unreadable(too_large(stored))
    fitting = number.quantize(Decimal(1).scaleb(-stored.scale), context=EXACT)
    if fitting != number:
        raise Unreadable(too_fine(stored))
    return fitting


def _one_rounded(text: str, stored: pa.Decimal128Type) -> Decimal:
    fitting = _number(text).quantize(Decimal(1).scaleb(-stored.scale), context=EXACT)
    if fitting.copy_abs() > largest(stored):
        raise Unreadable(too_large(stored))
    return fitting


def _one_whole(text: str) -> int:
    try:
        number = _number(text)
    except Unreadable as error:
        raise Unreadable("is not a whole number") from error
    whole = int(number)
    if whole != number:
        raise Unreadable("is not a whole number")
    if not -(2**63) <= whole < 2**63:
        raise Unreadable("does not fit a whole number of 64 bits, which is what Taker stores")
    return whole


def _one_epoch(text: str) -> int:
    whole = _one_whole(text)
    return whole if whole >= MICROSECONDS_FROM else max(whole * 1000, -(2**62))


def _one_of_seconds(text: str) -> int:
    micros = int((_number(text) * 10**6).to_integral_value(context=EXACT))
    return max(min(micros, 2**62), -(2**62))


def _one_time(text: str) -> datetime:
    if not _TEXT_TIME.fullmatch(text):
        raise Unreadable("is not a time like 2024-01-02 00:00:00")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unreadable("is not a time like 2024-01-02 00:00:00") from error
