"""Files of the simulated archive: a zip of one CSV with its checksum, named as the venue names them.

Belongs here: keys, integers as CSV columns, packing, the mark of simulated data in every file. The same rows give the
same bytes.
Does not: what the columns hold (`ingestion.simulator.trades`, `ingestion.simulator.derived`).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from ingestion.domain.periods import Period, Span
from ingestion.raw.durable import atomic_write
from ingestion.simulator.listings import Listing
from ingestion.simulator.model import EPOCH, HOUR_MS, Ints
from ingestion.venues.simulated import SIMULATION_MARK

_DAY_MS: Final = 24 * HOUR_MS
_BATCH_ROWS: Final = 200_000


def archive_key(listing: Listing, dataset: str, period: Period, interval: str = "") -> str:
    """The archive's own naming, stated again: a mistake in the reader's must not be repeated here unseen."""
    span = "daily" if period.span is Span.DAY else "monthly"
    folder = f"{listing.root}data/futures/{listing.folder}/{span}/{dataset}/{listing.symbol}"
    if interval:
        return f"{folder}/{interval}/{listing.symbol}-{interval}-{period.label}.zip"
    return f"{folder}/{listing.symbol}-{dataset}-{period.label}.zip"


def epoch_ms(day: date) -> int:
    return (day - EPOCH).days * _DAY_MS


@dataclass(frozen=True)
class Column:
    """Integers of a CSV column: plain, or with the last `scale` digits decimals, or the place of one of `words`, or
    seconds since 1970 written as a date and time."""

    values: Ints
    scale: int = 0
    words: tuple[str, ...] = ()
    is_clock: bool = False

    def rows(self, rows: Ints) -> Column:
        return Column(self.values[rows], self.scale, self.words, self.is_clock)

    @classmethod
    def repeated(cls, word: str, rows: int) -> Column:
        """The same word in every row."""
        return cls(np.zeros(rows, dtype=np.int64), words=(word,))


class CsvZip:
    """One archive object: a zip of one CSV, written in batches, and its checksum beside it. Same rows, same bytes."""

    def __init__(self, root: Path, key: str, header: str | None) -> None:
        self._path = root / key
        self._packed = io.BytesIO()
        self._zip = zipfile.ZipFile(self._packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        # Opened by name, a member is dated 1980-01-01: the clock must not be part of the bytes.
        self._member = self._zip.open(self._path.stem + ".csv", "w")
        if header is not None:
            self._member.write(header.encode() + b"\n")
        self._waiting: list[list[Column]] = []
        self._rows = 0

    def add(self, columns: list[Column], rows: Ints | None = None) -> None:
        """Append `columns`, or those of their `rows`."""
        picked = columns if rows is None else [column.rows(rows) for column in columns]
        self._waiting.append(picked)
        self._rows += picked[0].values.size
        if self._rows >= _BATCH_ROWS:
            self._flush()

    def add_text(self, rows: memoryview) -> None:
        """Append rows that are CSV already."""
        self._flush()
        self._member.write(rows)

    def close(self) -> int:
        """Finish the object and its checksum; return the zip's size in bytes."""
        self._flush()
        self._member.close()
        self._zip.comment = SIMULATION_MARK
        self._zip.close()
        packed = self._packed.getbuffer()
        digest = hashlib.sha256(packed).hexdigest()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _write(self._path, packed)
        checksum = f"{digest}  {self._path.name}\n".encode()
        _write(self._path.with_name(self._path.name + ".CHECKSUM"), checksum)
        return len(packed)

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._member.write(csv_text(self._waiting))
        self._waiting, self._rows = [], 0


def csv_text(batches: Sequence[Sequence[Column]]) -> pa.Buffer:
    """The rows of all batches as CSV, without a header."""
    columns = [_arrow(parts) for parts in zip(*batches, strict=True)]
    table = pa.Table.from_arrays(columns, names=[str(n) for n in range(len(columns))])
    text = pa.BufferOutputStream()
    pacsv.write_csv(table, text, pacsv.WriteOptions(include_header=False, quoting_style="none", batch_size=65_536))
    return text.getvalue()


def _arrow(parts: Sequence[Column]) -> pa.Array:
    """Integers become decimals by naming their scale: the digits are never computed."""
    values = np.ascontiguousarray(np.concatenate([part.values for part in parts]), dtype="<i8")
    kind = parts[0]
    if kind.scale:
        wide = np.stack([values, values >> 63], axis=1)
        return pa.Array.from_buffers(pa.decimal128(38, kind.scale), values.size, [None, pa.py_buffer(wide)])
    # Named buffers, not pa.array: that imports pandas, which takes longer than a year of klines.
    narrow = pa.timestamp("s") if kind.is_clock else pa.int64()
    integers = pa.Array.from_buffers(narrow, values.size, [None, pa.py_buffer(values)])
    if not kind.words:
        return integers
    ends = np.cumsum([0, *(len(word) for word in kind.words)], dtype="<i4")
    text = "".join(kind.words).encode("ascii")
    return pa.StringArray.from_buffers(len(kind.words), pa.py_buffer(ends), pa.py_buffer(text)).take(integers)


def _write(path: Path, content: bytes | memoryview) -> None:
    with atomic_write(path) as staged:
        staged.write_bytes(content)
