"""This machine's own publication, where another state folder has published to the same storage since.

Belongs here: making `marts.duckdb` of the Parquet files that stand on the storage, whole or not at all. Does not: their
manifest (`orchestration.warehouse.publish.parquet`); a file that is damaged, and the history of ranks that the next
publication needs of it (`orchestration.warehouse.publish.former`).

A run compares itself with the publication that stands: whether anything changed, what its audit owes, which rows of
which target it replaces. All of these look at the file of their own machine, which is the one that stands only as long
as one machine publishes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.domain.errors import StorageError
from ingestion.raw.durable import atomic_write
from orchestration.warehouse.publish import database
from orchestration.warehouse.publish.changes import at_once, columns_of, comment
from orchestration.warehouse.publish.parquet import SERVING, is_newer, latest_manifest, published_at
from orchestration.warehouse.publish.tables import describe
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

    from ingestion.raw.store import ObjectStore


class _NotTheSame(Exception):
    """The files of this version do not make the tables that were published."""


def catch_up(serving: Path, store: ObjectStore, scratch: Path, *, memory_limit: str) -> str | None:
    """Make the file `serving` the publication that stands on the storage, where that is newer or there is no file.

    Returns what was done, as a sentence; None where nothing was: the file is the newest, it cannot be read, or the
    storage has no publication whose files are whole. Then the next publication writes all that it cannot compare.
    `scratch`: a folder of the caller's own.
    """
    import duckdb

    try:
        latest = _newer(serving, store)
        if latest is None:
            return None
        made = scratch / "marts.duckdb"
        with duckdb.connect(str(made)) as out:
            out.execute("set timezone = 'UTC'")
            out.execute(f"set memory_limit = {literal(memory_limit)}")
            out.execute(f"set temp_directory = {literal(str(scratch / 'spill'))}")
            with at_once(out):
                _fill(out, latest, store, scratch / "mart.parquet")
            out.execute("checkpoint")  # closing the file would not report that it failed
        if _newer(serving, store) != latest:
            raise _NotTheSame
        serving.parent.mkdir(parents=True, exist_ok=True)
        # Copied: a run that publishes meanwhile has the name that a publication is made under.
        with atomic_write(serving) as staged:
            shutil.copyfile(made, staged)
    except (_NotTheSame, StorageError, OSError, KeyError, TypeError, ValueError, duckdb.Error):
        return None
    return (
        f"{serving} was made anew of the Parquet files of the publication of {latest['published_at']}, which is the "
        "latest on the storage"
    )


def _newer(serving: Path, store: ObjectStore) -> Mapping[str, Any] | None:
    """The manifest of the publication on the storage, None unless it took the place of that of the file."""
    import duckdb

    latest = latest_manifest(store)
    if latest is None or not serving.is_file():
        return latest
    with duckdb.connect(str(serving), read_only=True) as connection:
        own = database.published(connection)
    return latest if own is not None and is_newer(store, latest, own) else None


def _fill(out: duckdb.DuckDBPyConnection, latest: Mapping[str, Any], store: ObjectStore, file: Path) -> None:
    """The tables of this manifest and the two that describe the publication, as the publishing machine has them.

    `file`: where each Parquet file is, as long as it is read.
    """
    # All that is needed of the manifest before the first file: another version of Taker may have stated less.
    keys = {name: tuple(mart["key"]) for name, mart in latest["marts"].items()}
    days = [date.fromisoformat(latest[day]) if latest[day] else None for day in ("first_day", "last_day")]
    span = (days[0], days[1], latest["markets"])
    run_id, settings, audit, now = latest["run_id"], latest["settings"], latest["audit"], published_at(latest)
    for name, mart in latest["marts"].items():
        if not store.get_file(f"{SERVING}/{mart['file']}", file):
            raise _NotTheSame
        with file.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != mart["sha256"]:
                raise _NotTheSame
        out.execute(f"create table {identifier(name)} as from read_parquet({literal(str(file))})")
        file.unlink()
        stated = mart["schema"]
        # A type that Parquet has no equal of is another one in the file, and so perhaps are its values.
        if columns_of(out, identifier(name)) != [(column["name"], column["type"]) for column in stated]:
            raise _NotTheSame
        texts = {column["name"]: column["description"] or None for column in stated}
        comment(out, name, mart["description"] or None, texts)
    database.write_publication(out, span, run_id=run_id, settings=settings, audit=audit, now=now)
    database.write_tables(out, [describe(out, name, key) for name, key in keys.items()])
