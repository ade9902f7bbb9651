"""Exact decimals from columns of texts, fast, and never by a conversion that Arrow gets wrong.

Arrow scales a decimal by a table of powers of ten whose bounds it does not check, and multiplies without a check for
overflow: `1e-9999999` is a segmentation fault, `1e-57` is 0, and 1 followed by 28 zeros is 131811359292784559562136384.
Up to 20 digits in a row and 37 in all, with exponents from -9 to 0, every stored type is safe. Other texts are read one
by one, with Python's decimals (`ingestion.decode.values`).

Nearly every column of a file has plain numbers alone: digits, with at most one point. Without their points those are
integers, which take half the time of Arrow's own decimals.

Belongs here: texts to decimals, the texts that Arrow must not convert. Does not: which columns are decimals
(`ingestion.decode.parse`), single values (`ingestion.decode.values`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.decode.memory import column_of, integers

_TOO_MANY_IN_A_ROW: Final = 21
# On both sides of the point: more than 128 bits hold, whatever the type.
_TOO_MANY_DIGITS: Final = 38
_UNSAFE_TEXT: Final = (
    rf"[0-9]{{{_TOO_MANY_IN_A_ROW}}}|(?:[0-9]\.?){{{_TOO_MANY_DIGITS}}}|[eE]\+?0*[1-9]|[eE]-0*[1-9][0-9]"
)
_POINT: Final = b"."
# Ten to the power of each index, as far as 64 bits hold it, and the largest integer that can be multiplied by it.
_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_LARGEST: Final = np.iinfo(np.int64).max // _POWERS
_MOST_PLACES: Final = len(_POWERS) - 1
# Columns of more numbers are read one by one: then their memory stays in the processor's cache.
_MOST_TOGETHER: Final = 1 << 14


def decimal_columns(texts: Sequence[pa.Array], wanted: Sequence[pa.Decimal128Type]) -> list[pa.Array]:
    """`decimals` of several columns, in one pass where all of them are plain: of a file with few rows, the calls cost
    more than the numbers."""
    if len(texts) > 1 and sum(map(len, texts)) <= _MOST_TOGETHER:
        together = _plain(texts, wanted)
        if together is not None:
            return together
    return [decimals(*each) for each in zip(texts, wanted, strict=True)]


def decimals(texts: pa.Array, wanted: pa.Decimal128Type) -> pa.Array:
    """The numbers of a column of `binary`; ArrowInvalid where one of them is none, does not fit, or may be misread."""
    plain = _plain([texts], [wanted])
    if plain is not None:
        return plain[0]
    # As Arrow reads the column of a file.
    trimmed = pc.utf8_trim(texts.cast(pa.string()), characters=" \t")
    return refuse_unsafe(trimmed).cast(wanted)


def refuse_unsafe(texts: pa.Array) -> pa.Array:
    """The texts, if Arrow reads every number in them rightly; ArrowInvalid otherwise."""
    if pc.any(pc.match_substring_regex(texts, _UNSAFE_TEXT)).as_py():
        raise pa.ArrowInvalid("a number that Arrow may read wrongly")
    return texts


def _plain(columns: Sequence[pa.Array], wanted: Sequence[pa.Decimal128Type]) -> list[pa.Array] | None:
    """The same of all columns where every text is digits with at most one point, and 64 bits hold its units of the last
    stored place; None otherwise."""
    pieces, ends, scales, count, length = [], [], [], 0, 0
    for texts, stored in zip(columns, wanted, strict=True):
        if texts.null_count or not len(texts) or stored.precision <= _MOST_PLACES or stored.scale > _MOST_PLACES:
            return None
        _, offsets_buffer, data_buffer = texts.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        pieces.append(memoryview(data_buffer or b"")[offsets[0] : offsets[-1]])
        ends.append(offsets[1:] - (offsets[0] - length))
        scales.append(stored.scale)
        count, length = count + len(texts), length + len(pieces[-1])
    joined = b"".join(pieces)
    units = _units(joined, ends[0] if len(ends) == 1 else np.concatenate(ends), _of_rows(scales, columns))
    if units is None:
        return None
    words = np.zeros((count, 2), "<i8")
    np.multiply(*units, out=words[:, 0])
    found, first = [], 0
    for texts, stored in zip(columns, wanted, strict=True):
        found.append(column_of(words[first : first + len(texts)], stored))
        first += len(texts)
    return found


def _of_rows(scales: Sequence[int], columns: Sequence[pa.Array]) -> Any:
    """The scale of each row's column; one number where all have the same."""
    return scales[0] if len(set(scales)) == 1 else np.repeat(scales, [len(texts) for texts in columns])


def _units(texts: bytes, ends: Any, scale: Any) -> tuple[Any, Any] | None:
    """The digits of each text as an integer, and what gives units of the last of `scale` places when it is multiplied
    by that; None where a text is not plain, or does not fit. `ends`: where each text ends."""
    bare = texts.translate(None, _POINT)
    digits = np.frombuffer(bare, np.uint8)
    if len(digits) and (digits.min() < ord("0") or digits.max() > ord("9")):
        return None
    data = np.frombuffer(texts, np.uint8)
    located = _same_places(data, ends, len(texts) - len(bare)) or _places(data, ends)
    if located is None:
        return None
    places, ends = located
    factor = scale - places
    if np.min(factor) < 0:
        return None
    bounds = np.zeros(len(ends) + 1, np.int32)
    bounds[1:] = ends
    try:
        column = pa.Array.from_buffers(pa.string(), len(ends), [None, pa.py_buffer(bounds), pa.py_buffer(bare)])
        units = integers(column.cast(pa.int64()))
    except pa.ArrowInvalid:  # more than 64 bits, or no digit at all
        return None
    if units.max() > _LARGEST[np.max(factor)] and (units > _LARGEST[factor]).any():
        return None
    return units, _POWERS[factor]


def _same_places(data: Any, ends: Any, points: int) -> tuple[int, Any] | None:
    """`_places` where every text has one point, and as many digits after it as the first: as nearly all columns of
    trades are printed. None for others. `points`: how many there are in all texts."""
    if points != len(ends):
        return None
    first = bytes(data[: ends[0]])
    places = len(first) - 1 - first.find(_POINT)
    is_long_enough = ends[0] > places and (len(ends) == 1 or np.diff(ends).min() > places)
    if not is_long_enough or (data[ends - (places + 1)] != ord(_POINT)).any():
        return None
    return places, ends - np.arange(1, len(ends) + 1, dtype=ends.dtype)


def _places(data: Any, ends: Any) -> tuple[Any, Any] | None:
    """How many digits each text has after its point, and where it ends once all points are gone; None where a text has
    several points. `ends`: where it ends with them."""
    points = np.flatnonzero(data == ord(_POINT))
    if len(points) == len(ends) and (points < ends).all() and (points[1:] >= ends[:-1]).all():
        return ends - points - 1, ends - np.arange(1, len(ends) + 1)
    of = np.searchsorted(ends, points, side="right")
    if (of[1:] == of[:-1]).any():
        return None
    places, gone = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    places[of] = ends[of] - points - 1
    gone[of] = 1
    return places, ends - np.cumsum(gone)
