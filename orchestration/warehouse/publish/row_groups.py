"""A Parquet file put together of others: their row groups one after the other, and one footer for all.

Belongs here: the footer, as Thrift's compact protocol has it, and the places that it names. Does not: which rows are in
which file (`orchestration.warehouse.publish.parquet`).

No library that reads or writes Parquet can put row groups that are written already into another file, and to write 12
M rows anew because 30,000 of them changed costs most of a publication. Only what names a place in the file is
understood here; everything else of a footer is carried over as it is, also what later versions of the format add.

    PAR1, data of the first file, data of the second …, footer, its length (4 bytes), PAR1

The data of a file are its row groups and what follows them up to its footer, such as the Bloom filters that DuckDB
writes behind all row groups. They are copied in one piece, so that each place in them moves by the same distance.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Final

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8
_BLOCK: Final = 1 << 20

# Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12
_INTEGERS: Final = (_I16, _I32, _I64)
_LONG_LIST: Final = 15

# Numbers of fields in parquet.thrift: of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_ROWS_OF_FILE, _ROW_GROUPS = 3, 4
_COLUMNS, _ROWS, _ROW_GROUP_AT, _ORDINAL = 1, 3, 5, 7
_META: Final = 3
_PLACES_OF_CHUNK: Final = (2, 4, 6)  # file_offset, offset_index_offset, column_index_offset
_PLACES_OF_META: Final = (9, 10, 11, 14)  # data page, index page, dictionary page, Bloom filter

# A struct: type and value by the number of the field. A list: (type of its elements, elements).
_Struct = dict[int, tuple[int, Any]]


class NotDivisible(Exception):
    """A file cannot be cut after so many rows, or has other columns than the rest. It has to be written whole."""


@dataclass(frozen=True)
class _File:
    """`data_end`: where the footer begins."""

    path: Path
    footer: _Struct
    data_end: int

    @classmethod
    def read(cls, path: Path) -> _File:
        with path.open("rb") as file:
            end = file.seek(0, io.SEEK_END)
            file.seek(max(0, end - _TAIL))
            tail = file.read(_TAIL)
            data_end = end - _TAIL - int.from_bytes(tail[:4], "little")
            if tail[4:] != _MAGIC or data_end < len(_MAGIC):
                raise NotDivisible(f"{path} is no Parquet file")
            file.seek(data_end)
            payload = file.read(end - _TAIL - data_end)
        return cls(path, _Reader(payload).struct(), data_end)

    @property
    def row_groups(self) -> list[_Struct]:
        groups: list[_Struct] = self.footer[_ROW_GROUPS][1][1]
        return groups

    @property
    def described(self) -> bytes:
        """Everything of the footer but rows and row groups: two files of the same columns have the same."""
        return _written({number: field for number, field in self.footer.items() if number not in _OF_ROWS})


_OF_ROWS: Final = (_ROWS_OF_FILE, _ROW_GROUPS)


def put_together(target: Path, files: Sequence[Path], begins_with: tuple[Path, int] | None = None) -> None:
    """Write `target` of the row groups of these files, in this order.

    `begins_with`: a file that was made by this function, and how many of its first rows come first. NotDivisible when
    no row group and no file of which it was made ends there, or when the files have other columns.
    """
    parts = [_File.read(path) for path in files]
    taken: list[tuple[_File, list[_Struct], int]] = [(part, part.row_groups, part.data_end) for part in parts]
    if begins_with is not None:
        former = _File.read(begins_with[0])
        taken.insert(0, (former, *_first_rows(former, begins_with[1])))
    if not taken or any(part.described != taken[-1][0].described for part, _, _ in taken):
        raise NotDivisible(f"{target.name}: the files to put together have different columns")
    groups: list[_Struct] = []
    with target.open("wb") as out:
        out.write(_MAGIC)
        for part, own, end in taken:
            distance = out.tell() - len(_MAGIC)
            _copy(part.path, out, len(_MAGIC), end)
            groups += (_moved(group, distance, len(groups) + n) for n, group in enumerate(own))
        footer = dict(taken[-1][0].footer)
        footer[_ROWS_OF_FILE] = (_I64, sum(group[_ROWS][1] for group in groups))
        footer[_ROW_GROUPS] = (_LIST, (_STRUCT, groups))
        payload = _written(footer)
        out.write(payload + len(payload).to_bytes(4, "little") + _MAGIC)


def _first_rows(file: _File, rows: int) -> tuple[list[_Struct], int]:
    """The row groups that hold exactly the first rows, and where their data end."""
    ends = list(accumulate(group[_ROWS][1] for group in file.row_groups))
    number = bisect_left(ends, rows) + 1
    kept, rest = file.row_groups[:number], file.row_groups[number:]
    end = min((place for group in rest for place in _places(group)), default=file.data_end)
    if ends[number - 1 : number] != [rows] or any(place >= end for group in kept for place in _places(group)):
        raise NotDivisible(f"{file.path} cannot be cut after {rows:,} rows")
    return kept, end


def _places(group: _Struct) -> Iterator[int]:
    """Every place in the file that a row group names."""
    found: list[int] = []

    def note(place: int) -> int:
        found.append(place)
        return place

    _with_places(group, note)
    return iter(found)


def _moved(group: _Struct, distance: int, ordinal: int) -> _Struct:
    moved = _with_places(group, lambda place: place + distance)
    if _ORDINAL in moved:
        moved[_ORDINAL] = (moved[_ORDINAL][0], ordinal)
    return moved


def _with_places(group: _Struct, changed: Callable[[int], int]) -> _Struct:
    """The row group with each place in the file changed. A place of 0 is none."""

    def each(struct: _Struct, numbers: Sequence[int]) -> _Struct:
        return {
            number: (kind, changed(value) if number in numbers and value else value)
            for number, (kind, value) in struct.items()
        }

    kind, (of_columns, columns) = group[_COLUMNS]
    placed = []
    for column in columns:
        chunk = each(column, _PLACES_OF_CHUNK)
        if _META in chunk:
            chunk[_META] = (_STRUCT, each(chunk[_META][1], _PLACES_OF_META))
        placed.append(chunk)
    return {**each(group, (_ROW_GROUP_AT,)), _COLUMNS: (kind, (of_columns, placed))}


def _copy(path: Path, out: BinaryIO, first: int, end: int) -> None:
    with path.open("rb") as file:
        file.seek(first)
        left = end - first
        while left:
            block = file.read(min(_BLOCK, left))
            if not block:
                raise NotDivisible(f"{path} ends before its footer")
            out.write(block)
            left -= len(block)


class _Reader:
    """A footer, read from its first byte on. NotDivisible for anything that is none."""

    def __init__(self, payload: bytes) -> None:
        self._payload, self._at = payload, 0

    def struct(self) -> _Struct:
        fields: _Struct = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._integer()
            fields[number] = (kind, self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list()
        if kind == _STRUCT:
            return self.struct()
        raise NotDivisible(f"the footer has a value of the unknown type {kind}")

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        count = self._unsigned() if count == _LONG_LIST else count
        # In a list, unlike in a struct, a flag is a byte.
        return kind, [self._byte() if kind in (_TRUE, _FALSE) else self._value(kind) for _ in range(count)]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        found = self._payload[self._at : self._at + count]
        if len(found) != count:
            raise NotDivisible("the footer ends in the middle of a value")
        self._at += count
        return found

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)


def _written(struct: _Struct) -> bytes:
    """The struct as the reader above reads it."""
    out, last = bytearray(), 0
    for number, (kind, value) in struct.items():
        stated = (_TRUE if value else _FALSE) if kind in (_TRUE, _FALSE) else kind
        step = number - last
        out += bytes([step << 4 | stated]) if 0 < step < 16 else bytes([stated]) + _varint(_zigzag(number))
        if kind not in (_TRUE, _FALSE):
            out += _value_written(kind, value)
        last = number
    return bytes(out + b"\0")


def _value_written(kind: int, value: Any) -> bytes:
    if kind in _INTEGERS:
        return _varint(_zigzag(value))
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind in (_LIST, _SET):
        of, values = value
        count = len(values)
        head = bytes([count << 4 | of]) if count < _LONG_LIST else bytes([_LONG_LIST << 4 | of]) + _varint(count)
        return head + b"".join(_value_written(of, each) for each in values)
    if kind == _STRUCT:
        return _written(value)
    return bytes(value) if kind == _DOUBLE else bytes([value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))
