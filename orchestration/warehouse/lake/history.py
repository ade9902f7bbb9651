"""What was published at a former time: a publication of the lake as of then.

Belongs here: opening it, and the error where the history does not reach back that far. Does not: what is queried
(`orchestration.serving`), for how long former publications stay (`expiry`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestration.warehouse.lake.catalog import Lake, place_of
from orchestration.warehouse.lake.expiry import PUBLICATION
from orchestration.warehouse.place import NAME, SCHEMA

if TYPE_CHECKING:
    import duckdb


class NoHistory(Exception):
    """Nothing is known of what was published at that time. The text states since when something is, or what to do."""


@dataclass(frozen=True)
class AsOf:
    """The publication that stood at the time `at`, in UTC."""

    lake: Lake
    at: datetime

    def __str__(self) -> str:
        return f"as of {self.at:%Y-%m-%d %H:%M:%S} UTC in the lake at {place_of(self.lake.config)}"

    def enter(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Attach it to the connection, read-only; names are looked up there from now on. NoHistory, LakeUnusable."""
        first = self._first(connection)
        if first is None or self.at < first:
            known = f"the first known is of {first:%Y-%m-%d %H:%M:%S} UTC" if first else "there is none yet"
            raise NoHistory(
                f"no publication of {self.at:%Y-%m-%d %H:%M:%S} UTC is in the lake at {place_of(self.lake.config)}: "
                f"{known}. TAKER_LAKE_HISTORY_DAYS states for how long former ones stay"
            )
        self.lake.attach(connection, at=self.at)
        connection.execute(f"use {NAME}.{SCHEMA}")

    def _first(self, connection: duckdb.DuckDBPyConnection) -> datetime | None:
        """When the oldest publication was made that is still there."""
        self.lake.attach(connection, _NOW)
        found = connection.execute(
            "select cast(epoch_us(min(snapshot_time)) as bigint) "
            f"from ducklake_snapshots('{_NOW}') where commit_message = ?",
            [PUBLICATION],
        ).fetchone()
        connection.execute(f"detach {_NOW}")
        if found is None or found[0] is None:
            return None
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=found[0])


_NOW: Final = "lake_now"
