"""What becomes of a lake's former snapshots after a publication: most end, with the files that only they need.

Belongs here: which snapshots stay, merging small files, deleting files. Does not: making snapshots (dbt, and
`orchestration.warehouse.publish.lake`).

Each model of a build is a snapshot, more than a hundred a build. Of dbt's lake none but the last stays, since no one
reads a former one. Of the publications those stay that stood within the last days. A file that no snapshot needs is
deleted an hour later, by the next publication: a query that is running has it open.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestration.warehouse.lake.catalog import TeamLake
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

# What the snapshot of a publication states as its message.
PUBLICATION: Final = "publication"
# How long a query may run that began before a publication.
READERS: Final = timedelta(hours=1)


def tidy(lake: TeamLake, now: datetime, *, memory_limit: str, readers: timedelta = READERS) -> None:
    """End the snapshots that are not needed, merge small files, delete files that no snapshot needs; for the process
    that alone builds and publishes. duckdb.Error, LakeUnusable."""
    import duckdb

    history = timedelta(days=lake.published.config.history_days)
    before = f"older_than => timestamptz {literal((now - readers).isoformat())}"
    # Of one connection: to load the extensions takes longer than most of what follows.
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set memory_limit = {literal(memory_limit)}")
        for each, stays_from in ((lake.built, None), (lake.published, now - history)):
            each.attach(connection, each.folder, read_only=False)
            _tidy(connection, each.folder, stays_from, before)


def _tidy(connection: duckdb.DuckDBPyConnection, name: str, stays_from: datetime | None, before: str) -> None:
    """`stays_from`: publications that stood then or later stay; None: none but the newest snapshot. `before`: of
    files that no snapshot needs, those are deleted that were not needed then."""
    # First, since rows of former snapshots are not worth being merged, and again, since a merge is a snapshot.
    _expire(connection, name, stays_from)
    connection.execute(f"call ducklake_rewrite_data_files('{name}')")
    connection.execute(f"call ducklake_merge_adjacent_files('{name}')")
    _expire(connection, name, stays_from)
    connection.execute(f"call ducklake_cleanup_old_files('{name}', {before})")
    # Those of writers that were killed belong to no snapshot at all.
    connection.execute(f"call ducklake_delete_orphaned_files('{name}', {before})")


def _expire(connection: duckdb.DuckDBPyConnection, name: str, stays_from: datetime | None) -> None:
    snapshots = connection.execute(
        "select snapshot_id, cast(epoch_us(snapshot_time) as bigint), commit_message = ? "
        f"from ducklake_snapshots('{name}') order by snapshot_id",
        [PUBLICATION],
    ).fetchall()
    ended = superfluous(snapshots, None if stays_from is None else int(stays_from.timestamp() * 1_000_000))
    if ended:
        connection.execute(f"call ducklake_expire_snapshots('{name}', versions => {ended})")


def superfluous(snapshots: Sequence[tuple[int, int, bool | None]], stays_from: int | None) -> list[int]:
    """Which snapshots end: of each its number, its time in microseconds and whether it is a publication, the oldest
    first.

    The newest stays, and each publication that stood at `stays_from` or was made later.
    """
    publications = [number for number, _, is_publication in snapshots if is_publication]
    former = [number for number, at, is_publication in snapshots if is_publication and at <= (stays_from or 0)]
    stays = {number for number, _, _ in snapshots[-1:]}
    if stays_from is not None:
        stays |= {number for number in publications if not former or number >= former[-1]}
    return [number for number, _, _ in snapshots if number not in stays]
