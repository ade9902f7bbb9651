"""Rows of a source file that are set aside: kept beside the data, counted, each with its reason.

Belongs here: the record of rows set aside, its file, how they are counted by hour, and when there are so many that the
whole file is refused. Does not: finding what is wrong with a row (`ingestion.decode.judge`,
`ingestion.decode.contracts`), or where the file is kept (`ingestion.archive`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.domain.periods import Period

_LONGEST_LINE: Final = 1000
# Kinds of faults in the message of a refused file.
_MOST_FAULTS: Final = 20
_SCHEMA: Final = pa.schema(
    [
        pa.field("source_key", pa.string(), metadata={"description": "The source file's key in the venue's archive."}),
        pa.field("row_number", pa.int64(), metadata={"description": "The row's place among the file's rows, from 1."}),
        pa.field("line", pa.string(), metadata={"description": "The row's text, at most 1000 characters."}),
        pa.field("reason", pa.string(), metadata={"description": "Why it was set aside: column, fault and value."}),
    ]
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Quarantined:
    """Rows of one source file and one hour that were set aside for one reason.

    `hour`: `2026-11-26T13` (UTC), by the row's own time where it can be read and lies in the file's period, else by
    that of the row before it, else of the row after it; None where no row of the file has such a time. `reason`: one
    sentence without full stop, which names column, fault, value and row of the first of them.
    """

    source_key: str
    day: date | None
    hour: str | None
    reason: str
    rows: int


@dataclass(frozen=True)
class Fault:
    """What is wrong with one value of one row. `label` names the column and the fault, `value` is that of the file.

    `is_unreadable`: the row cannot be read as what it claims to be; else it was read, and breaks the contract.
    """

    label: str
    value: str | None
    is_unreadable: bool

    def __str__(self) -> str:
        return self.label if self.value is None else f"{self.label}: `{self.value}`"


@dataclass(frozen=True)
class RowSetAside:
    """One row that is not used. `number`: its place among the file's rows, from 1. `at`: the time it is counted at, in
    microseconds since the epoch; None where no row up to it has one."""

    number: int
    line: str
    faults: tuple[Fault, ...]
    at: int | None

    @property
    def reason(self) -> str:
        return "; ".join(map(str, self.faults))


@dataclass
class _Count:
    first: RowSetAside
    rows: int = 0


@dataclass
class Tally:
    """The rows of one source file that are set aside, counted by hour and reason; their file is not written here.

    `is_cut_elsewhere`: the file holds rows of other periods, too; their faults are reported with those periods.
    """

    source_key: str
    period: Period
    is_cut_elsewhere: bool = False
    rows: int = 0
    _counts: dict[tuple[str | None, tuple[str, ...]], _Count] = field(default_factory=dict)
    _faults: dict[str, tuple[int, Fault, int]] = field(default_factory=dict)

    def add(self, rows: Iterable[RowSetAside]) -> None:
        """Count rows that follow those added before, in file order."""
        for row in rows:
            self.rows += 1
            for fault in row.faults:
                count, first, place = self._faults.get(fault.label, (0, fault, row.number))
                self._faults[fault.label] = (count + 1, first, place)
            if not self.counts(row):
                continue
            key = (self._hour(row.at), tuple(fault.label for fault in row.faults))
            self._counts.setdefault(key, _Count(row)).rows += 1

    def counts(self, row: RowSetAside) -> bool:
        """Whether the row is one of the period that is wanted; one of no known time may be."""
        if not self.is_cut_elsewhere or row.at is None:
            return True
        return self.period.starts_at <= _EPOCH + timedelta(microseconds=row.at) < self.period.ends_at

    def finish(self, source_rows: int, first_at: int | None) -> tuple[Quarantined, ...]:
        """The counts of a file of so many rows, of which the first with a time has `first_at`.

        Raises SourceDefect or ContractViolation when more than half of the file's rows are set aside: then none of it
        can be trusted.
        """
        if self.rows * 2 > source_rows:
            self._refuse(source_rows)
        # Rows at the file's beginning without a time of their own are counted at the first one that there is.
        counts: dict[tuple[str | None, tuple[str, ...]], _Count] = {}
        for (hour, labels), count in self._counts.items():
            counts.setdefault((hour or self._hour(first_at), labels), _Count(count.first)).rows += count.rows
        found = []
        for (hour, _), count in counts.items():
            place = f"row {count.first.number}" if count.rows == 1 else f"first at row {count.first.number}"
            day = date.fromisoformat(hour[:10]) if hour else None
            found.append(Quarantined(self.source_key, day, hour, f"{count.first.reason} ({place})", count.rows))
        return tuple(found)

    def _refuse(self, source_rows: int) -> None:
        details = []
        for label, (count, first, number) in islice(self._faults.items(), _MOST_FAULTS):
            value = "" if first.value is None else f": `{first.value}`"
            details.append(f"{label} in {count} rows, first at row {number}{value}")
        if len(self._faults) > _MOST_FAULTS:
            details.append(f"and {len(self._faults) - _MOST_FAULTS} other faults")
        if len(self._faults) > 1 or source_rows > self.rows:
            details.append(f"{self.rows} of {source_rows} rows are faulty, so that none of them can be trusted")
        if any(first.is_unreadable for _, first, _ in self._faults.values()):
            raise SourceDefect(f"{self.source_key} cannot be read, nothing of it was stored: {'; '.join(details)}")
        raise ContractViolation(self.source_key, details)

    def _hour(self, at: int | None) -> str | None:
        """The UTC hour of an instant, moved into the file's period where its label lies a moment outside."""
        if at is None:
            return None
        last = self.period.ends_at - timedelta(microseconds=1)
        moment = min(max(_EPOCH + timedelta(microseconds=at), self.period.starts_at), last)
        return f"{moment:%Y-%m-%dT%H}"


class QuarantineFile:
    """The Parquet file of rows set aside; there is none until the first of them. Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def add(self, source_key: str, rows: Iterable[RowSetAside]) -> None:
        written = [
            {"source_key": source_key, "row_number": r.number, "line": r.line[:_LONGEST_LINE], "reason": r.reason}
            for r in rows
        ]
        if not written or self._path is None:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(written, schema=_SCHEMA))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
