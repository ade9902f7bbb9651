"""Texts of numbers that Arrow must not convert: it ends the process, or returns another number.

Arrow scales a decimal by a table of powers of ten whose bounds it does not check, and multiplies without a check for
overflow: `1e-9999999` is a segmentation fault, `1e-57` is 0, and 1 followed by 28 zeros is 131811359292784559562136384.
Up to 20 digits in a row, and exponents from -9 to 0, every stored type is safe. Other texts are read one by one, with
Python's decimals (`ingestion.decode.values`).

Belongs here: finding such texts in a block of a file and in a column of texts. Does not: reading them.
"""

from __future__ import annotations

import io
import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_TOO_MANY_DIGITS: Final = 21
_UNSAFE_TEXT: Final = rf"[0-9]{{{_TOO_MANY_DIGITS}}}|[eE]\+?0*[1-9]|[eE]-0*[1-9][0-9]"
# The same anywhere in the text of a file. Arrow's own search takes a quarter of the time of Python's.
_SUSPICIOUS: Final = rf"[0-9]{{{_TOO_MANY_DIGITS}}}|[0-9.][eE](?:\+?0*[1-9]|-0*[1-9][0-9])"
_RUN: Final = re.compile(rb"[0-9]{%d}" % _TOO_MANY_DIGITS)
# A whole field that is a number with such an exponent: an identifier may hold the same in its midst.
_EXPONENT: Final = re.compile(rb"[eE](?:\+?0*[1-9]\d*|-0*[1-9]\d+)(?=[,\r\n]|\Z)")
_BEFORE: Final = re.compile(rb"(?:^|[,\r\n])[ \t]*[-+]?[\d.]+\Z")
# No number that is read is longer.
_LONGEST_FIELD: Final = 512


class Unsafe(Exception):
    """A file holds a number that Arrow may read wrongly."""


class SafeNumbers(io.RawIOBase):
    """The text of a file as it is read, `Unsafe` before Arrow receives a number that it may read wrongly."""

    def __init__(self, text: io.BufferedReader) -> None:
        self._text, self._tail = text, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._text.read(size)
        # A number may lie across two blocks.
        self._tail = _checked(self._tail + block)
        return block


def _checked(text: bytes) -> bytes:
    """The end of `text`, in which a number may begin; `Unsafe` where there is an unsafe one."""
    if pc.match_substring_regex(pa.array([text], pa.binary()), _SUSPICIOUS)[0].as_py():
        if _RUN.search(text):
            raise Unsafe
        for found in _EXPONENT.finditer(text):
            if _BEFORE.search(text, max(0, found.start() - _LONGEST_FIELD), found.start()):
                raise Unsafe
    return text[-_LONGEST_FIELD:]


def refuse_unsafe(texts: pa.Array) -> pa.Array:
    """The texts, if Arrow reads every number in them rightly; ArrowInvalid otherwise."""
    if pc.any(pc.match_substring_regex(texts, _UNSAFE_TEXT)).as_py():
        raise pa.ArrowInvalid("a number that Arrow may read wrongly")
    return texts
