"""Windows of time as the sources of a raw object: what was requested from a REST API, and what that covers.

Belongs here: the key and checksum of a window, covered minutes per hour, gaps between trade numbers.
Does not: which windows are requested (`ingestion.recent`).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from ingestion.raw.zone import Defect, Source

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open range of time that was requested. Whole minutes, except where a venue's history begins in between."""

    since: datetime
    until: datetime

    @property
    def key(self) -> str:
        return f"rest/{_stamp(self.since)}/{_stamp(self.until)}"

    @classmethod
    def of(cls, source: Source) -> Window:
        _, since, until = source.key.split("/")
        return cls(datetime.fromisoformat(since), datetime.fromisoformat(until))


def source_of(window: Window, rows: pa.Table) -> Source:
    """The window with the sha256 of its rows in a canonical form: one CSV line each, in the order of the answer."""
    text = io.BytesIO()
    pacsv.write_csv(rows, text)
    return Source(window.key, hashlib.sha256(text.getvalue()).hexdigest(), text.tell(), rows.num_rows)


def covered_minutes(windows: Iterable[Window], set_aside: Iterable[Defect]) -> dict[str, int]:
    """Whole minutes of each hour (`2026-11-26T13`) that the windows hold, except those of rows that are set aside."""
    minutes: dict[str, int] = {}
    for window in windows:
        first = window.since.replace(second=0, microsecond=0)
        first += _MINUTE if first < window.since else timedelta()
        while first + _MINUTE <= window.until:
            hour = f"{first:%Y-%m-%dT%H}"
            minutes[hour] = minutes.get(hour, 0) + 1
            first += _MINUTE
    for defect in set_aside:
        if defect.hour in minutes:
            minutes[defect.hour] = max(0, minutes[defect.hour] - 1)
    return dict(sorted(minutes.items()))


def number_facts(trades: pa.Table) -> dict[str, Any]:
    """First and last number of the trades, and how many numbers are missing within the hours that are present."""
    numbered = trades.filter(pc.is_valid(trades.column("trade_number")))
    if not numbered.num_rows:
        return {}
    hours = pc.floor_temporal(numbered.column("traded_at"), unit="hour")
    by_hour = pa.table({"hour": hours, "number": numbered.column("trade_number")}).group_by("hour")
    found = by_hour.aggregate([("number", "min"), ("number", "max"), ("number", "count_distinct")])
    spans = pc.add(pc.subtract(found.column("number_max"), found.column("number_min")), 1)
    return {
        "first_id": pc.min(found.column("number_min")).as_py(),
        "last_id": pc.max(found.column("number_max")).as_py(),
        "id_gaps": pc.sum(pc.subtract(spans, found.column("number_count_distinct"))).as_py(),
    }


def _stamp(at: datetime) -> str:
    """UTC in ISO 8601, in the shortest exact form."""
    precise = "milliseconds" if at.microsecond else "seconds" if at.second else "minutes"
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precise)}Z"
