"""What a run found of each object, remembered with the state of everything that the finding rested on.

Belongs here: the table of findings, one row per raw object, and when one of them still holds. Does not: making findings
(`ingestion.archive.ingest`), what follows from them (`ingestion.archive.compare`).

A finding is a memory and no source: without the table everything is compared anew. It rests on the receipt and the data
that are stored, on the files of the archive that were looked for, absent ones too, and on the code that judged them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from ingestion.archive.tasks import Outcome, Series, Status, Task
from ingestion.http.archives import Archives
from ingestion.http.fetch import Archive
from ingestion.raw.durable import atomic_write
from ingestion.raw.index import Listed
from ingestion.raw.names import DATA, RECEIPT
from ingestion.raw.ordered import shared_values, with_rows, without
from ingestion.raw.receipts import Receipt
from ingestion.raw.soundness import read_table, table_bytes
from ingestion.venues.simulated import SIMULATION_MARKER, SIMULATION_WORD

_SCHEMA: Final = pa.schema(
    [
        ("folder", pa.string()),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("status", pa.string()),
        ("known_at", pa.string()),
        ("receipt", pa.string()),
        ("data", pa.string()),
        ("origin", pa.string()),
        ("keys", pa.string()),
        ("states", pa.string()),
    ]
)
_BETWEEN: Final = "\n"
# What the next run finds where this one found the other.
_NEXT: Final[Mapping[Status, Status]] = {
    "stored": "unchanged",
    "unchanged": "unchanged",
    "absent": "absent",
    "kept": "kept",
    "refused": "refused",
}


class Found(NamedTuple):
    """What is to be remembered of an outcome: the receipt itself takes most of the memory of a large zone. `known_at`:
    the receipt's, as text; empty without one."""

    task: Task
    status: Status
    rests_on: tuple[str, ...] | None
    known_at: str

    @classmethod
    def of(cls, outcome: Outcome) -> Found:
        known_at = outcome.receipt.known_at.isoformat() if outcome.receipt is not None else ""
        return cls(outcome.task, outcome.status, outcome.rests_on, known_at)


class Finding(NamedTuple):
    """One row. `known_at`: of the receipt. `receipt`, `data`: the versions of what is stored; empty where nothing is.
    `origin`: of the archive, and of the code that judged; empty where the finding rests on more than `keys`. `keys`,
    `states`: in the archive, one per line."""

    folder: str
    first_day: date
    last_day: date
    status: Status
    known_at: str
    receipt: str
    data: str
    origin: str
    keys: str
    states: str


class Findings:
    """The findings that are kept at `path`. `code`: identifies what judges; findings of another one do not hold."""

    def __init__(self, path: Path, code: str, archives: Archives, listed: Listed) -> None:
        self._path, self._code, self._archives = path, code, archives
        self._archive_of: dict[str, tuple[Archive, str]] = {}
        self._listed = listed
        self._table = _read(path)
        self._known = _by_series(self._table)

    def holding(self, series: Series) -> dict[str, Finding]:
        """By the last folder of the object (`date=2024-08-08`), those findings of the series of which nothing can have
        changed."""
        known = self._known.get(series.folder)
        if not known:
            return {}
        archive, origin = self._archive(series.market.venue)
        return {
            name: found
            for name, found in known.items()
            if found.origin == origin and self._is_stored_as(found) and _is_published_as(found, archive)
        }

    def is_recorded(self, folder: str, receipt: Receipt) -> bool:
        """Whether the object was remembered with this receipt, whatever the archive has. A receipt that only got
        another name is the same."""
        series, _, name = folder.rpartition("/")
        found = self._known.get(series, {}).get(name)
        return found is not None and found.known_at == receipt.known_at.isoformat()

    def remember(self, outcomes: Iterable[Found], listed: Listed) -> None:
        """Replace the findings of these tasks, and write the table. `listed`: the zone after them.

        The states are those that the archives showed before the tasks were carried out: the next run notices what
        changed meanwhile.
        """
        self._listed = listed
        made = [found for outcome in outcomes if (found := self._finding(outcome)) is not None]
        new = {found.folder: found for found in made}
        if not new and self._path.is_file():
            return
        columns = zip(*new.values(), strict=True) if new else ((),) * len(_SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        others = without(self._table, "folder", new)
        self._table = with_rows(others, pa.table(arrays, schema=_SCHEMA), ("folder",))
        for folder, found in new.items():
            series, _, name = folder.rpartition("/")
            self._known.setdefault(series, {})[name] = found
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path) as staged:
            staged.write_bytes(table_bytes(self._table))

    def _finding(self, outcome: Found) -> Finding | None:
        task, status = outcome.task, _NEXT.get(outcome.status)
        folder = task.object_id.folder
        if status is None or not self._listed.version(folder + RECEIPT):
            return None
        archive, origin = self._archive(task.market.venue)
        states = [archive.state(key, looks=False) for key in outcome.rests_on or ()]
        known = [state for state in states if state is not None]
        is_whole = bool(states) and len(known) == len(states)
        return Finding(
            folder,
            task.first_day,
            task.last_day,
            status,
            outcome.known_at,
            self._listed.version(folder + RECEIPT),
            self._listed.version(folder + DATA),
            origin if is_whole else "",
            _BETWEEN.join(outcome.rests_on or ()) if is_whole else "",
            _BETWEEN.join(known) if is_whole else "",
        )

    def _is_stored_as(self, found: Finding) -> bool:
        version, folder = self._listed.version, found.folder
        return version(folder + RECEIPT) == found.receipt and version(folder + DATA) == found.data

    def _archive(self, venue: str) -> tuple[Archive, str]:
        """The venue's archive, and what identifies it together with the code."""
        if venue not in self._archive_of:
            archive = self._archives.of(venue)
            is_simulated = archive.has_marker(SIMULATION_MARKER, SIMULATION_WORD)
            origin = hashlib.sha256(f"{self._code} {archive.url} {is_simulated}".encode()).hexdigest()[:16]
            self._archive_of[venue] = archive, origin
        return self._archive_of[venue]


def _read(path: Path) -> pa.Table:
    """The table in the order of folders; an empty one where there is none, or a torn one."""
    try:
        table = read_table(path.read_bytes(), _SCHEMA)
    except OSError:
        table = None
    return table if table is not None else _SCHEMA.empty_table()


def _by_series(table: pa.Table) -> dict[str, dict[str, Finding]]:
    """By the folder of the series, and by the object's own in it."""
    known: dict[str, dict[str, Finding]] = {}
    for row in zip(*map(shared_values, table.columns), strict=True):
        series, _, name = row[0].rpartition("/")
        known.setdefault(series, {})[name] = Finding._make(row)
    return known


def _is_published_as(found: Finding, archive: Archive) -> bool:
    keys = found.keys
    if _BETWEEN not in keys:
        return archive.state(keys) == found.states
    states = found.states.split(_BETWEEN)
    return all(archive.state(key) == known for key, known in zip(keys.split(_BETWEEN), states, strict=True))
