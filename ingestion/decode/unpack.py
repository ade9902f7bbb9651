"""Unpacking: a packed source file as the plain bytes of its one CSV.

Belongs here: gzip and zip, inflating while reading, checks of length and CRC, how much is inflated at most, the mark of
simulated files.
Does not: how large a file of a dataset may be (`ingestion.domain.datasets`), what the bytes mean
(`ingestion.decode.parse`), fetching (`ingestion.http`).
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import isal.isal_zlib as fast_zlib
from isal import igzip

from ingestion.domain.datasets import FileLimits
from ingestion.domain.errors import SourceDefect
from ingestion.domain.periods import Period
from ingestion.venues.simulated import SIMULATION_MARK
from ingestion.venues.venue import Layout

# Bytes of a zip's list of members: a source file has one member, with a name of less than 100.
_LONGEST_DIRECTORY: Final = 64 << 10
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_BLOCK: Final = 1 << 20
_SHORT_LINE: Final = 1 << 10


@dataclass(frozen=True)
class SourceFile:
    """One verified file on disk, where it came from, and the period its rows must lie in.

    `holds`, `is_shared`: as in `SourceObject`: what else the file rightly holds, which is left out. `may_be_simulated`:
    its market is one of the simulated exchange; a file with the mark of simulated data is refused for any other.
    """

    path: Path
    key: str
    period: Period
    holds: tuple[datetime, datetime] | None = None
    is_shared: bool = False
    may_be_simulated: bool = False

    @property
    def days(self) -> int:
        return (self.period.last_day - self.period.first_day).days + 1


def csv_text(source: SourceFile, layout: Layout, limits: FileLimits) -> AbstractContextManager[io.BufferedReader]:
    """The plain bytes of the file's CSV, unpacked as they are read, their length and CRC checked at their end.

    SourceDefect for a file that is no such archive, is larger than `limits`, or is simulated and must not be.
    """
    return _gzip_text(source, limits) if layout.packing == "gzip" else _csv_member(source, limits)


@contextmanager
def _gzip_text(source: SourceFile, limits: FileLimits) -> Iterator[io.BufferedReader]:
    try:
        packed_bytes = source.path.stat().st_size
        if not packed_bytes:
            raise EOFError("it is empty")
        with igzip.IGzipFile(str(source.path), "rb") as plain:  # type: ignore[no-untyped-call]
            yield io.BufferedReader(_Bounded(plain, source, limits, packed_bytes), buffer_size=_BLOCK)
    except (gzip.BadGzipFile, EOFError, fast_zlib.error) as error:  # type: ignore[misc]  # as below
        raise SourceDefect(f"{source.key} is not a readable gzip file ({error}); nothing of it was stored") from error


@contextmanager
def _csv_member(source: SourceFile, limits: FileLimits) -> Iterator[io.BufferedReader]:
    """The one CSV file inside the zip, inflated as it is read, its length and CRC checked at its end."""
    try:
        with source.path.open("rb") as file:
            _check_directory(file, source)
            with zipfile.ZipFile(file) as packed:
                member = _only_member(packed, source)
                packed.open(member).close()  # has zipfile check the member's own header and flags
            bounded = _Bounded(_Inflating(file, member, source.key), source, limits, member.compress_size)
            bounded.check(member.file_size)
            yield io.BufferedReader(bounded, buffer_size=_BLOCK)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OverflowError) as error:
        raise SourceDefect(f"{source.key} is not a readable zip ({error}); nothing of it was stored") from error


def _check_directory(file: BinaryIO, source: SourceFile) -> None:
    """Refuse a zip whose list of members is too long, before it is read: zipfile makes an object of each of them.

    A file without an end that can be read is left to zipfile.
    """
    size = file.seek(0, io.SEEK_END)
    tail_bytes = min(size, _END.size + (1 << 16))
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    place = tail.rfind(b"PK\x05\x06")
    if place >= 0 and len(tail) - place >= _END.size:
        listed = _END.unpack_from(tail, place)[5]
        before = size - tail_bytes + place - 20 - _END_64.size  # zipfile looks for the larger record here alone
        if before >= 0:
            file.seek(before)
            record = file.read(_END_64.size)
            if record[:4] == b"PK\x06\x06":
                listed = max(listed, _END_64.unpack(record)[8]) if listed != 0xFFFFFFFF else _END_64.unpack(record)[8]
        if listed > _LONGEST_DIRECTORY:
            raise SourceDefect(
                f"{source.key} is a zip whose list of members takes {listed} bytes instead of those of one; nothing of "
                "it was stored"
            )
    file.seek(0)


def _only_member(packed: zipfile.ZipFile, source: SourceFile) -> zipfile.ZipInfo:
    if SIMULATION_MARK in packed.comment and not source.may_be_simulated:
        raise SourceDefect(
            f"{source.key} is marked as simulated data, and its market is not one of the simulated exchange; nothing "
            "of it was stored. Set the archive that you mean, or ask for a market of `simulated:`"
        )
    members = packed.infolist()
    if len(members) != 1:
        raise SourceDefect(
            f"{source.key} holds {len(members)} members instead of one: "
            f"{', '.join(m.filename[:100] for m in members[:5])}; nothing of it was stored"
        )
    member = members[0]
    name = member.filename[:100]
    if "/" in member.filename or "\\" in member.filename or ".." in member.filename:
        raise SourceDefect(f"{source.key}: member `{name}` has a path in its name; nothing of it was stored")
    if member.header_offset < 0:
        raise SourceDefect(f"{source.key} is not a readable zip (its beginning is missing); nothing of it was stored")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceDefect(f"{source.key}: member `{name}` is a link instead of a file; nothing of it was stored")
    return member


class _Bounded(io.RawIOBase):
    """Plain bytes, as many as a file of the dataset may have, in lines that are not too long."""

    def __init__(self, plain: Any, source: SourceFile, limits: FileLimits, packed_bytes: int) -> None:
        self._plain, self._source, self._limits = plain, source, limits
        self._packed_bytes = packed_bytes
        self._by_ratio = max(limits.always_bytes, limits.ratio * packed_bytes)
        self._by_days = limits.bytes_per_day * source.days
        self._length = self._line = 0

    def readable(self) -> bool:
        return True

    def check(self, length: int) -> None:
        """SourceDefect when so many plain bytes are too many."""
        if length > min(self._by_days, self._by_ratio):
            limit = (
                f"{self._by_days} bytes, the most that {self._source.days} days of its dataset may have"
                if self._by_days <= self._by_ratio
                else f"{self._by_ratio} bytes, {self._limits.ratio} times its {self._packed_bytes} packed ones"
            )
            raise SourceDefect(f"{self._source.key} inflates to more than {limit}; nothing of it was stored")

    def readinto(self, buffer: Any) -> int:
        length: int = self._plain.readinto(buffer)
        self._length += length
        self.check(self._length)
        rest = _rest_of_line(buffer, length)
        self._line = self._line + length if rest is None else rest
        if self._line > self._limits.line_bytes:
            raise SourceDefect(
                f"{self._source.key} has a line of more than {self._limits.line_bytes} bytes; nothing of it was stored"
            )
        return length


def _rest_of_line(buffer: Any, length: int) -> int | None:
    """How many of the first `length` bytes follow their last line break; None without one."""
    for first in (max(0, length - _SHORT_LINE), 0):  # nearly always the end suffices, and to copy all of them costs
        end = bytes(buffer[first:length]).rfind(b"\n")
        if end >= 0:
            return length - first - end - 1
    return None


class _Inflating(io.RawIOBase):
    """The plain bytes of one zip member. python-isal inflates more than twice as fast as zlib."""

    def __init__(self, file: io.BufferedReader, member: zipfile.ZipInfo, key: str) -> None:
        file.seek(member.header_offset + 26)
        name_length, extra_length = (int.from_bytes(file.read(2), "little") for _ in range(2))
        file.seek(name_length + extra_length, io.SEEK_CUR)
        self._file, self._member, self._key = file, member, key
        self._left = member.compress_size
        stored = member.compress_type == zipfile.ZIP_STORED
        self._inflate = None if stored else fast_zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._length = 0
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        while True:
            packed = self._tail or self._file.read(min(self._left, 1 << 18))
            if not self._tail:
                self._left -= len(packed)
            try:
                block = self._inflate.decompress(packed, wanted) if self._inflate else packed[:wanted]
            except fast_zlib.error as error:  # type: ignore[misc]  # isal's stubs hide that it is an exception
                raise SourceDefect(f"{self._key} cannot be inflated ({error}); nothing of it was stored") from error
            self._tail = self._inflate.unconsumed_tail if self._inflate else packed[wanted:]
            if block or not (self._tail or (packed and self._left)):
                break
        if not block:
            self._verify()
        self._crc = fast_zlib.crc32(block, self._crc)
        self._length += len(block)
        buffer[: len(block)] = block
        return len(block)

    def _verify(self) -> None:
        if (self._crc, self._length) != (self._member.CRC, self._member.file_size):
            raise SourceDefect(f"{self._key} is damaged: its length or CRC is wrong; nothing of it was stored")
