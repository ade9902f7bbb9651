"""The publication that readers have now, as a database to compare with: also when its DuckDB file is damaged or gone.

Belongs here: choosing between the file and the Parquet files of the same publication, and making a database of the
latter. Does not: the comparison, and what is carried over (`orchestration.warehouse.publish.revisions`).

The history of revised ranks cannot be built from the raw zone: each publication copies it from the one before. It is in
every Parquet version too, with a sha256 each, so that it is lost only when all of these are. Where another state folder
has published to the same storage since, its history is there and not in the file of this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestration.state.healing import NotDamaged, duckdb_fault, set_aside
from orchestration.state.whole import take_note
from orchestration.warehouse.publish.changes import Contents
from orchestration.warehouse.publish.database import PUBLICATION, published
from orchestration.warehouse.publish.parquet import LATEST, MANIFEST, SERVING, VERSIONS, is_newer, published_at
from orchestration.warehouse.publish.revisions import REVISIONS, SOURCES
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore

# What the comparison reads: with these, a database of the former publication is as good as its own.
_COMPARED: Final = (REVISIONS, SOURCES, "fct_taker_spike_ranks", PUBLICATION)
_NEEDED: Final = (REVISIONS, SOURCES)


class Former(NamedTuple):
    """The former publication as a DuckDB file, None for the first one; what there is to report; and what is known of
    the contents of that file."""

    path: Path | None
    notices: list[str]
    contents: Contents


def former_publication(serving: Path, store: ObjectStore, scratch: Path) -> Former:
    """The former publication. A damaged `serving` is set aside. Files are written to `scratch`."""
    damage = stated = None
    if serving.is_file():
        stated = take_note(serving)
        try:
            damage = duckdb_fault(serving, () if stated is not None else _COMPARED, read_only=True)
        except NotDamaged:
            return Former(serving, [], Contents())  # attaching it raises the error, with what to do
        if damage is None and not _has_newer(store, serving):
            return Former(serving, [], Contents.of(stated))
    restored, version = _from_parquet(store, scratch)
    if damage is None and serving.is_file():
        return Former(restored or serving, [], Contents() if restored else Contents.of(stated))
    if damage is not None:
        what = (
            f"it is published anew, and the history of revised ranks comes from the Parquet files of {version}"
            if restored
            else "it is published anew; the history of revised ranks is lost, since no Parquet version has it either, "
            f"and {REVISIONS} starts again"
        )
        return Former(restored, [set_aside(serving, damage, what)], Contents())
    if restored:
        missing = f"{serving} was missing; the history of revised ranks comes from the Parquet files of {version}"
        return Former(restored, [missing], Contents())
    return Former(None, [], Contents())


def _has_newer(store: ObjectStore, serving: Path) -> bool:
    """Whether the storage has a publication that took the place of that of the file."""
    latest = next(_manifests(store), None)
    if latest is None:
        return False
    import duckdb

    try:
        with duckdb.connect(str(serving), read_only=True) as connection:
            own = published(connection)
        return own is not None and is_newer(store, latest, own)
    except (KeyError, ValueError, duckdb.Error):
        return False


def _from_parquet(store: ObjectStore, scratch: Path) -> tuple[Path | None, str]:
    """A database of the newest version whose files are whole, and the name of that version."""
    for manifest in _manifests(store):
        made = _made(store, manifest, scratch)
        if made is not None:
            return made, str(manifest.get("version"))
    return None, ""


def _manifests(store: ObjectStore) -> Iterator[Mapping[str, Any]]:
    """The manifest of the latest version, then those of the others, newest first."""
    versions = [found.key for found in store.list(VERSIONS) if found.key.endswith(f"/{MANIFEST}")]
    for key in (LATEST, *sorted(versions, reverse=True)):
        try:
            manifest = json.loads(store.get_bytes(key) or b"null")
        except ValueError:
            continue
        if isinstance(manifest, dict):
            yield manifest


def _made(store: ObjectStore, manifest: Mapping[str, Any], scratch: Path) -> Path | None:
    """A database of this version; None when a file that it needs is missing or not the one that was published."""
    import duckdb

    target = scratch / "former.duckdb"
    target.unlink(missing_ok=True)
    try:
        at = published_at(manifest).replace(tzinfo=None)
        with duckdb.connect(str(target)) as made:
            for name in _COMPARED:
                entry = manifest["marts"].get(name)
                if entry is None and name not in _NEEDED:
                    continue
                payload = store.get_bytes(f"{SERVING}/{entry['file']}")
                if payload is None or hashlib.sha256(payload).hexdigest() != entry["sha256"]:
                    return None
                file = scratch / f"former-{name}.parquet"
                file.write_bytes(payload)
                made.execute(f"create table {identifier(name)} as from read_parquet({literal(str(file))})")
            made.execute(f"create table {PUBLICATION} (published_at timestamp, run_id varchar)")
            made.execute(f"insert into {PUBLICATION} values (?, ?)", [at, str(manifest["run_id"])])
    except (KeyError, TypeError, ValueError, duckdb.Error):
        return None
    return target
