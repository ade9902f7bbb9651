"""Parquet on the storage URL, a folder or S3: consistent versions, and one file per mart at a stable place.

    serving/versions/<version>/<mart>.parquet     never changed once written; `<version>` is the time of publication
    serving/versions/<version>/manifest.json      written last: a version without it never became one
    serving/latest.json                           the manifest of the newest version, replaced atomically
    serving/parquet/<mart>/data.parquet           the newest rows of one mart, for readers that want a fixed address

Belongs here: keys, the manifest, what is kept. Does not: the object store itself (`ingestion.raw.store`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.store import LocalStore
from orchestration.warehouse.publish.changes import EVERYTHING, Change, months_of
from orchestration.warehouse.publish.row_groups import NotDivisible, put_together
from orchestration.warehouse.publish.tables import Table
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

    from ingestion.raw.store import ObjectStore

SERVING: Final = "serving"
STABLE: Final = f"{SERVING}/parquet"
VERSIONS: Final = f"{SERVING}/versions"
LATEST: Final = f"{SERVING}/latest.json"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1

# Months of a smaller table would be row groups too small to be read fast, and it is written in no time.
BY_MONTH_FROM: Final = 1_000_000

# A reader of `latest.json` opens its files later, and a long query keeps opening them. Builds follow each other by a
# minute at least, so five versions are several minutes for the slowest reader, at the price of five times the marts.
VERSIONS_KEPT: Final = 5


@dataclass(frozen=True)
class ParquetFile:
    """One table as a file: where it lies for now, its size in bytes and its sha256.

    `path`: in a folder. None for a table that has not changed: then `stored` is the object of the former version.
    """

    table: Table
    path: Path | None
    size: int
    sha256: str
    stored: str = ""


def export(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    folder: Path,
    change: Change = EVERYTHING,
    former: Path | None = None,
) -> ParquetFile:
    """Write one table to `folder` in the order it has.

    A large one gets row groups of its own for each month, and those before `change` come from `former`, the file of the
    table since which it changed so: the same rows give the same bytes, whichever of them were there before.
    """
    path = folder / f"{table.name}.parquet"
    if table.rows < BY_MONTH_FROM or not _by_month(connection, table, path, change, former):
        _copy(connection, identifier(table.name), path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ParquetFile(table, path, path.stat().st_size, digest)


def _by_month(
    connection: duckdb.DuckDBPyConnection, table: Table, path: Path, change: Change, former: Path | None
) -> bool:
    """Write the table of row groups for each month; False where it has no months."""
    first_rows, months = months_of(connection, table, change)
    if not months:
        return change != EVERYTHING and _by_month(connection, table, path, EVERYTHING, None)
    if first_rows and former is None:
        return _by_month(connection, table, path, EVERYTHING, None)
    with tempfile.TemporaryDirectory(dir=path.parent) as parts:
        files = []
        for number, month in enumerate(months):
            files.append(Path(parts, f"{number}.parquet"))
            _copy(connection, f"(from {identifier(table.name)} where {month.condition})", files[-1])
        try:
            put_together(path, files, (former, first_rows) if former is not None and first_rows else None)
        except NotDivisible:
            if not first_rows:
                raise
            # A file of a version that wrote it whole, or with other settings.
            return _by_month(connection, table, path, EVERYTHING, None)
    return True


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, path: Path) -> None:
    connection.execute(f"copy {rows} to {literal(str(path))} (format parquet, compression zstd)")


class FormerVersion:
    """The files of the version that `latest.json` names, for tables that have not changed since."""

    def __init__(self, store: ObjectStore, marts: Mapping[str, Any]) -> None:
        self._store, self._marts = store, marts
        self._sizes = {found.key: found.size for found in store.list(VERSIONS)} if marts else {}

    @classmethod
    def of(cls, store: ObjectStore, published: tuple[datetime, str] | None) -> FormerVersion:
        """`published`: when and by which run. A version of another publication has no file to offer."""
        try:
            latest = json.loads(store.get_bytes(LATEST) or b"null")
            is_the_same = published is not None and published == (
                datetime.fromisoformat(latest["published_at"]),
                latest["run_id"],
            )
            return cls(store, latest["marts"] if is_the_same else {})
        except (ValueError, KeyError, TypeError):
            return cls(store, {})

    def path_of(self, table: Table) -> Path | None:
        """The same as a file on this machine; None on S3."""
        if not isinstance(self._store, LocalStore):
            return None
        file = self.file_of(table)
        return self._store.root / file.stored if file is not None else None

    def file_of(self, table: Table) -> ParquetFile | None:
        """The file of this table, if it still has the bytes that its manifest states; on S3, as many of them."""
        try:
            mart = self._marts[table.name]
            key, size, sha256 = f"{SERVING}/{mart['file']}", int(mart["bytes"]), str(mart["sha256"])
        except (KeyError, TypeError, ValueError):
            return None
        if self._sizes.get(key) != size:
            return None
        if isinstance(self._store, LocalStore) and self._store.sha256(key) != sha256:
            return None
        return ParquetFile(table, None, size, sha256, key)


def version_of(now: datetime) -> str:
    """The version's name. Names sort as their times do."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def manifest(
    files: Sequence[ParquetFile],
    span: tuple[date | None, date | None, Sequence[str]],
    *,
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """The content of `latest.json`. File names are relative to `serving/`, so that the whole folder can be copied.

    With all that the table `publication` states: from the files alone the whole publication can be made again.
    """
    version = version_of(now)
    first_day, last_day, markets = span
    return {
        "format": FORMAT,
        "version": version,
        "published_at": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "run_id": run_id,
        "first_day": first_day.isoformat() if first_day else None,
        "last_day": last_day.isoformat() if last_day else None,
        "markets": list(markets),
        "settings": dict(settings),
        "audit": dict(audit),
        "marts": {
            file.table.name: {
                "file": f"{VERSIONS.removeprefix(SERVING + '/')}/{version}/{file.table.name}.parquet",
                "rows": file.table.rows,
                "bytes": file.size,
                "sha256": file.sha256,
                "key": list(file.table.key),
                "description": file.table.description,
                "schema": [
                    {"name": column.name, "type": column.type, "description": column.description}
                    for column in file.table.columns
                ],
            }
            for file in files
        },
    }


def store_version(store: ObjectStore, files: Sequence[ParquetFile], contents: Mapping[str, Any]) -> None:
    """Store the files and their manifest below `versions/`. Nothing refers to them yet.

    What has not changed is the former version's file under a second name; S3 copies it without a transfer.
    """
    folder = f"{VERSIONS}/{contents['version']}"
    for file in files:
        key = f"{folder}/{file.table.name}.parquet"
        if file.path is None:
            store.copy(file.stored, key)
        else:
            store.put_file(key, file.path)
    store.put_bytes(f"{folder}/{MANIFEST}", _as_json(contents))


def make_latest(store: ObjectStore, files: Sequence[ParquetFile], contents: Mapping[str, Any]) -> None:
    """Make a stored version the latest: the files at the stable places one by one, then the manifest at once."""
    for file in files:
        name = file.table.name
        store.copy(f"{VERSIONS}/{contents['version']}/{name}.parquet", f"{STABLE}/{name}/data.parquet")
    store.put_bytes(LATEST, _as_json(contents))


def latest_manifest(store: ObjectStore) -> Mapping[str, Any] | None:
    """The content of `latest.json`; None where there is none, or it is none. StorageError."""
    try:
        latest = json.loads(store.get_bytes(LATEST) or b"null")
    except ValueError:
        return None
    return latest if isinstance(latest, dict) else None


def is_newer(store: ObjectStore, latest: Mapping[str, Any], own: tuple[datetime, str]) -> bool:
    """Whether this manifest is of a publication that took the place of the `own` one: its time and run. KeyError and
    ValueError for no manifest.

    The clocks of two machines may differ: where its time is not a later one, the own publication was replaced if the
    storage has it as a former version. One that it does not have is of another history, such as that of a backup.
    """
    at, _ = own
    if (published_at(latest), latest["run_id"]) == own:
        return False
    return published_at(latest) > at or store.get_bytes(f"{VERSIONS}/{version_of(at)}/{MANIFEST}") is not None


def published_at(latest: Mapping[str, Any]) -> datetime:
    """When the publication of this manifest was made. KeyError and ValueError for no manifest."""
    return datetime.fromisoformat(str(latest["published_at"])).astimezone(UTC)


def stands(store: ObjectStore, latest: Mapping[str, Any]) -> bool:
    """Whether every file that this manifest names is there with its size, at both places; in a folder also with its
    bytes. KeyError for no manifest.
    """
    sizes = {found.key: found.size for found in store.list(SERVING)}
    places = [
        (key, mart)
        for name, mart in latest["marts"].items()
        for key in (f"{SERVING}/{mart['file']}", f"{STABLE}/{name}/data.parquet")
    ]
    if any(sizes.get(key) != mart["bytes"] for key, mart in places):
        return False
    if not isinstance(store, LocalStore):
        return True
    # The same file under both names, as a rule: it is read once.
    expected = {(store.root / key).stat().st_ino: (key, mart["sha256"]) for key, mart in places}
    return all(store.sha256(key) == sha256 for key, sha256 in expected.values())


def prune(store: ObjectStore, *, keep: int = VERSIONS_KEPT) -> list[str]:
    """Delete what no reader needs: all but the newest `keep` versions, and what a failed publication left behind.

    The version that `latest.json` names always stays. Returns the versions that went, oldest first.
    """
    keys_by_version: dict[str, list[str]] = {}
    for found in store.list(VERSIONS):
        keys_by_version.setdefault(found.key.removeprefix(f"{VERSIONS}/").split("/")[0], []).append(found.key)
    complete = sorted(name for name, keys in keys_by_version.items() if f"{VERSIONS}/{name}/{MANIFEST}" in keys)
    latest = store.get_bytes(LATEST)  # just written by `make_latest`
    kept = {*complete[-keep:], json.loads(latest)["version"]} if latest else set(complete[-keep:])
    pruned = sorted(set(keys_by_version) - kept)
    for name in pruned:
        # The manifest first: what is half deleted no longer claims to be a version.
        for key in sorted(keys_by_version[name], key=lambda key: not key.endswith(f"/{MANIFEST}")):
            store.delete(key)
        if isinstance(store, LocalStore):
            # S3 knows no folders; on a disk an empty one would stay for each version that ever was.
            with contextlib.suppress(OSError):
                (store.root / VERSIONS / name).rmdir()
    store.sweep(SERVING)
    return pruned


def _as_json(contents: Mapping[str, Any]) -> bytes:
    return (json.dumps(contents, indent=2, ensure_ascii=False) + "\n").encode()
