"""Unpacking: a packed source file as the plain bytes of its one CSV.

Belongs here: gzip and zip, inflating while reading, checks of length and CRC.
Does not: what the bytes mean (`ingestion.decode.parse`), fetching (`ingestion.http`).
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import isal.isal_zlib as fast_zlib
from isal import igzip

from ingestion.domain.errors import SourceDefect
from ingestion.domain.periods import Period
from ingestion.venues.venue import Layout


@dataclass(frozen=True)
class SourceFile:
    """One verified file on disk, where it came from, and the period its rows must lie in.

    `holds`, `is_shared`: as in `SourceObject`: what else the file rightly holds, which is left out.
    """

    path: Path
    key: str
    period: Period
    holds: tuple[datetime, datetime] | None = None
    is_shared: bool = False


def csv_text(source: SourceFile, layout: Layout) -> AbstractContextManager[io.BufferedReader]:
    """The plain bytes of the file's CSV, unpacked as they are read, their length and CRC checked at their end."""
    return _gzip_text(source) if layout.packing == "gzip" else _csv_member(source)


@contextmanager
def _gzip_text(source: SourceFile) -> Iterator[io.BufferedReader]:
    try:
        if not source.path.stat().st_size:
            raise EOFError("it is empty")
        with igzip.IGzipFile(str(source.path), "rb") as plain:  # type: ignore[no-untyped-call]
            yield io.BufferedReader(plain, buffer_size=1 << 20)
    except (gzip.BadGzipFile, EOFError, fast_zlib.error) as error:  # type: ignore[misc]  # as below
        raise SourceDefect(f"{source.key} is not a readable gzip file ({error}); nothing of it was stored") from error


@contextmanager
def _csv_member(source: SourceFile) -> Iterator[io.BufferedReader]:
    """The one CSV file inside the zip, inflated as it is read, its length and CRC checked at its end."""
    try:
        with source.path.open("rb") as file:
            with zipfile.ZipFile(file) as packed:
                members = packed.infolist()
                if len(members) != 1:
                    raise SourceDefect(
                        f"{source.key} holds {len(members)} members instead of one: "
                        f"{', '.join(m.filename for m in members[:5])}; nothing of it was stored"
                    )
                member = members[0]
                if "/" in member.filename or "\\" in member.filename or ".." in member.filename:
                    raise SourceDefect(f"{source.key}: member `{member.filename}` has a path in its name; refused")
                packed.open(member).close()  # has zipfile check the member's own header and flags
            yield io.BufferedReader(_Inflating(file, member, source.key), buffer_size=1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceDefect(f"{source.key} is not a readable zip ({error}); nothing of it was stored") from error


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
