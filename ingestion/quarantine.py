"""Rows of a source file that are not used as published: kept beside the data, counted, each with its reason.

Belongs here: the record of rows set aside, its file, and how they are counted by hour. Does not: finding what is wrong
with a row (`ingestion.decode`, `ingestion.contracts`), or where the file is kept (`ingestion.ingest`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Quarantined:
    """Rows of one source file and one hour that were set aside for one reason.

    `hour`: `2026-11-26T13` (UTC), by the row's own time where it can be read and lies in the file's period, else by
    that of the row before it, else of the row after it; None where no row of the file has such a time. `reason`: one
    sentence without full stop, which names column, value and row of the first of them.
    """

    source_key: str
    day: date | None
    hour: str | None
    reason: str
    rows: int
