"""Whether a stored object is what its receipt states: there, of its size, with its sha256.

Belongs here: the judgement of one object, and the memory of which versions were hashed, so that each is hashed once.
Does not: what follows from damage (`ingestion.raw.index`, `ingestion.archive`, `ingestion.live.seal`), the check of a
whole zone (`ingestion.raw.verify`).

When what is hashed: docs/decisions/0014.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.datasets import FUNDING_RATE, INSTRUMENTS, LIQUIDATION_SNAPSHOT, LIQUIDATIONS, TAKER_RATIO
from ingestion.raw.names import DATA, by_present_key
from ingestion.raw.ordered import with_rows, without
from ingestion.raw.receipts import Receipt
from ingestion.raw.store import ObjectStore, StoredObject

VERIFIED_KEY: Final = "raw/verified.parquet"
VERIFIED_SCHEMA: Final = pa.schema([("data_key", pa.string()), ("version", pa.string()), ("sha256", pa.string())])
# Every build reads all of their files, which are small: they are hashed before each, whatever their version.
READ_BY_EVERY_BUILD: Final = frozenset(
    dataset.name for dataset in (FUNDING_RATE, INSTRUMENTS, LIQUIDATION_SNAPSHOT, LIQUIDATIONS, TAKER_RATIO)
)


class Inspector:
    """Judges stored objects; hashes each version once. Safe to share between threads.

    `listed`: every object of the zone, by key, which is kept up to date; without it, the folders of a series are listed
    when first needed.
    `remembered`: the table of what earlier runs hashed, where it was read already. `rehashes`: it does not count.
    """

    def __init__(
        self,
        store: ObjectStore,
        listed: dict[str, StoredObject] | None = None,
        *,
        rehashes: bool = False,
        remembered: pa.Table | None = None,
    ) -> None:
        self._store = store
        self._listed = listed
        self._series: dict[str, dict[str, StoredObject]] = {}
        self._remembered: dict[str, tuple[str, str]] | None = {} if rehashes else None
        self._table = None if rehashes else remembered
        self._hashed: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def fault(self, folder: str, receipt: Receipt | None, *, again: bool = False) -> str | None:
        """What is wrong with the data object in `folder`, as the end of a sentence; None where nothing is.

        `again`: hash it although this version was hashed before.
        """
        if receipt is None or receipt.status != "stored":
            return None
        if receipt.within is not None:
            folder, receipt = receipt.within.folder, receipt.within
        found = self._found(folder + DATA)
        if found is None:
            return "is missing"
        if receipt.stored_bytes and found.size != receipt.stored_bytes:
            return f"has {found.size:,} bytes and not {receipt.stored_bytes:,}"
        if not receipt.stored_sha256:
            return None
        sha256 = self.sha256(found, again=again)
        if sha256 is None:
            return "is missing"
        if sha256 != receipt.stored_sha256:
            return f"has the sha256 {sha256[:12]}… and not {receipt.stored_sha256[:12]}…, its bytes have changed"
        return None

    def sha256(self, found: StoredObject, *, again: bool = False) -> str | None:
        """Of the listed object; None where it has gone."""
        known = self._hashed.get(found.key) or (None if again else self._known().get(found.key))
        if known is not None and known[0] == found.version:
            return known[1]
        sha256 = self._store.sha256(found.key)
        if sha256 is not None:
            with self._lock:
                self._hashed[found.key] = found.version, sha256
        return sha256

    def sha256_of(self, data_key: str, *, again: bool = False) -> str | None:
        """Of the object with this key; None where there is none."""
        found = self._found(data_key)
        return self.sha256(found, again=again) if found is not None else None

    def unknown(self, sums: Iterable[tuple[str, str | None]]) -> set[str]:
        """Of data objects and the sha256 that each must have (empty: any, None: the one that was verified): those whose
        present version was not hashed before, or had another one."""
        known, found = self._known(), self._found if self._listed is None else self._listed.get
        unknown = set()
        for data_key, sha256 in sums:
            remembered, present = known.get(data_key), found(data_key)
            if sha256 == "":
                continue
            if remembered is None or present is None or remembered != (present.version, sha256 or remembered[1]):
                unknown.add(data_key)
        return unknown

    def verified_sha256(self, data_key: str) -> str | None:
        """Of the version that was hashed before; None where none was."""
        known = self._known().get(data_key)
        return known[1] if known else None

    def listed_again(self, folder: str) -> dict[str, StoredObject]:
        """The objects of the folder as they are now, for what may have been replaced since it was listed."""
        found, _ = by_present_key(self._store.list(folder))
        with self._lock:
            listed = self._listed if self._listed is not None else self._series.setdefault(_series_of(folder), {})
            for key in [key for key in listed if key.startswith(f"{folder}/")]:
                del listed[key]
            listed.update(found)
        return found

    def verified(self, data_keys: Iterable[str]) -> pa.Table:
        """What is to be remembered of these objects: the version and sha256 of each that was ever hashed."""
        wanted, known = set(data_keys), self._known()
        new = sorted(key for key in self._hashed if key in wanted)
        versions, sums = ([self._hashed[key][at] for key in new] for at in (0, 1))
        hashed = pa.table([new, versions, sums], schema=VERIFIED_SCHEMA)
        if self._table is None:
            return hashed
        kept = without(self._table, "data_key", {key for key in known if key not in wanted or key in self._hashed})
        return with_rows(kept, hashed, ("data_key",))

    def _known(self) -> dict[str, tuple[str, str]]:
        if self._remembered is None:
            if self._table is None:
                self._table = read_table(self._store.get_bytes(VERIFIED_KEY), VERIFIED_SCHEMA)
            self._remembered = {} if self._table is None else _by_key(self._table)
        return self._remembered

    def _found(self, data_key: str) -> StoredObject | None:
        if self._listed is not None:
            return self._listed.get(data_key)
        series = _series_of(data_key.rpartition("/")[0])
        with self._lock:
            if series not in self._series:
                self._series[series] = {each.key: each for each in self._store.list(series)}
            return self._series[series].get(data_key)


def _series_of(folder: str) -> str:
    """The folder that holds all periods of a dataset of a market."""
    return folder.rpartition("/")[0]


def _by_key(verified: pa.Table) -> dict[str, tuple[str, str]]:
    """By key of the data object: the version that was hashed, and its sha256."""
    keys, versions, sums = (column.to_pylist() for column in verified.columns)
    return dict(zip(keys, zip(versions, sums, strict=True), strict=True))


def read_table(payload: bytes | None, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table | None:
    """A table that was written by `table_bytes`; None where it is missing, damaged, or has other columns.

    With `columns` these alone are read, and damage to others is not noticed."""
    if payload is None:
        return None
    try:
        # Threads, and the loading of what `read_table` reads many files with, cost ten times as much as the reading.
        file = pq.ParquetFile(pa.BufferReader(payload), page_checksum_verification=True)
        if not file.schema_arrow.equals(schema):
            return None
        return file.read(columns=None if columns is None else list(columns), use_threads=False)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return None


def table_bytes(table: pa.Table) -> bytes:
    """As Parquet with a checksum for each page, so that a flipped bit does not decode to other values."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()
