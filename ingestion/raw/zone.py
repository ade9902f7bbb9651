"""The raw zone: one Parquet object per (dataset, market, period), each with a receipt.

Belongs here: storing and reading one object, in a fixed order (data first, receipt last).
Does not: the form of receipts (`ingestion.raw.receipts`), tables of them (`ingestion.raw.index`), where rows come from
(`ingestion.archive`), how objects are stored (`ingestion.raw.store`).

A reader trusts only what has a receipt. A receipt that is replaced moves to `history/` beside it, and never changes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import Due, StorageError
from ingestion.raw import index
from ingestion.raw.index import Listed
from ingestion.raw.months import annotated, receipt_in_month, rows_of_object
from ingestion.raw.names import DATA, FORMER_RECEIPT, RECEIPT, stored_receipt
from ingestion.raw.notes import Noting, noted, sweep_noted
from ingestion.raw.receipts import (
    SCHEMA_VERSION,
    Defect,
    ObjectId,
    Receipt,
    Source,
    has_quarantine,
    is_annotated,
    is_corrected,
    only_grew,
    readable,
)
from ingestion.raw.schema import with_todays_schema
from ingestion.raw.soundness import Inspector
from ingestion.raw.store import ObjectStore
from ingestion.raw.tables import COVERAGE, COVERAGE_KEY, DEFECTS, DEFECTS_KEY, INDEX, INDEX_KEY

__all__ = [
    "COVERAGE_KEY",
    "DEFECTS_KEY",
    "INDEX_KEY",
    "SCHEMA_VERSION",
    "Defect",
    "DryZone",
    "ObjectId",
    "RawZone",
    "Receipt",
    "Source",
]


class RawZone:
    """The raw zone of one object store. Holds no connection, and no state of its own beyond the store and what it has
    noted there (`ingestion.raw.notes`).

    `only_noted`: its index is brought up to date with what writers have noted, and with everything once a week.
    """

    def __init__(self, store: ObjectStore, *, only_noted: bool = False) -> None:
        self.store = store
        self._only_noted = only_noted
        self._noting = Noting(store)

    @property
    def url(self) -> str:
        """What dbt gets as `raw_url`: a folder or `s3://…/raw`."""
        return self.store.url("raw")

    def receipt(self, object_id: ObjectId) -> Receipt | None:
        """The object's current receipt; None when it was never requested. Of a day that was merged into its month, the
        one that the month's states.
        """
        held = stored_receipt(self.store, object_id.folder)
        if held is None:
            return receipt_in_month(self.store, object_id.folder)
        receipt = readable(held[1])
        return receipt if receipt is not None and receipt.folder == object_id.folder else None

    def will_store(self) -> None:
        """Called before anything is requested in order to be stored: ends the task of a dry run (`DryZone`)."""

    def fault(self, object_id: ObjectId, receipt: Receipt | None) -> str | None:
        """What is wrong with the stored object of that receipt, as the end of a sentence; None where nothing is."""
        return Inspector(self.store).fault(object_id.folder, receipt)

    def rows(self, object_id: ObjectId) -> pa.Table:
        """The stored rows of one object, under the current schema. StorageError when there are none, or other bytes
        than its receipt states."""
        receipt = self.receipt(object_id)
        month = receipt.within if receipt else None
        data_key, stated = (month.folder + DATA, month) if month else (object_id.data_key, receipt)
        payload = self.store.get_bytes(data_key)
        if payload is None:
            raise StorageError(f"{data_key} is missing beside its receipt; `taker verify` names what to do")
        if stated and stated.stored_sha256 and hashlib.sha256(payload).hexdigest() != stated.stored_sha256:
            raise StorageError(f"{data_key} has other bytes than its receipt states; `taker verify` names what to do")
        dataset = DATASETS[object_id.dataset]
        if month:  # of whose row groups those of the day alone are read: a month of trades is large
            of_the_day = rows_of_object(io.BytesIO(payload), dataset, object_id.period.first_day)
            return pa.concat_tables([dataset.schema.empty_table(), *of_the_day])
        # Threads, and the loading of what `read_table` reads many files with, cost more than the reading.
        return with_todays_schema(pq.ParquetFile(io.BytesIO(payload)).read(use_threads=False), dataset)

    def put(
        self,
        object_id: ObjectId,
        data: Path | None,
        receipt: Receipt,
        quarantine: Path | None = None,
        *,
        replaces_others: bool = False,
    ) -> Receipt:
        """Store the object, keep the receipt it replaces, and return the new one with its revision. The object of a day
        then comes before what the object of its month has of it (`ingestion.raw.months`).

        `quarantine`: the rows that were set aside, kept beside the data. Without `data`, what is stored stays.
        `replaces_others`: other objects are removed after it, so it is on the disk when this returns.
        """
        self._noting.before(object_id.folder)
        held_key, held_bytes = stored_receipt(self.store, object_id.folder) or ("", None)
        held = readable(held_bytes)
        if held_bytes is None and (held := receipt_in_month(self.store, object_id.folder)) is not None:
            if data is None and receipt.status == "stored":
                return annotated(self.store, receipt)
            held_bytes = held.to_json()
        if held is not None and held_bytes is not None:
            receipt = replace(receipt, revision=held.revision + is_corrected(held, receipt))
            if not only_grew(held, receipt) and not is_annotated(held, receipt):
                kept = f"{object_id.folder}/history/{held.known_at:%Y%m%dT%H%M%S%fZ}.json"
                self.store.put_bytes(kept, held_bytes, only_if_absent=True)
        # A file of an archive can be fetched again; what was received live cannot.
        durable = replaces_others or receipt.dataset not in ARCHIVED
        receipt = replace(receipt, within=None)
        if data is not None:
            receipt = replace(receipt, schema_version=SCHEMA_VERSION)
            self.store.put_file(object_id.data_key, data, durable=durable)
            if quarantine is not None:
                self.store.put_file(object_id.quarantine_key, quarantine, durable=durable)
            elif held is None or has_quarantine(held):
                self.store.delete(object_id.quarantine_key)
        self.store.put_bytes(object_id.receipt_key, receipt.to_json(), durable=durable)
        if held_key not in ("", object_id.receipt_key):
            self.store.delete(held_key)
        return receipt

    def remove_receipt(self, folder: str) -> None:
        """Remove the receipt of a day that is merged into its month: from now on the month states the day."""
        self._noting.before(folder)
        for name in (FORMER_RECEIPT, RECEIPT):
            self.store.delete(folder + name)

    def remove_data(self, folder: str) -> None:
        """Remove the data of a day whose month states it, once nothing reads them any more. What is kept beside them
        stays: former receipts, and rows that were set aside."""
        self._noting.before(folder)
        self.store.delete(folder + DATA)
        self.store.prune(folder)

    def set_aside(self, object_id: ObjectId) -> None:
        """Keep an object that cannot be trusted, and its receipt, under other names: it is made anew."""
        self._noting.before(object_id.folder)
        held = stored_receipt(self.store, object_id.folder)
        for name, payload in (
            ("data.parquet", self.store.get_bytes(object_id.data_key)),
            ("receipt.json", held[1] if held else None),
        ):
            if payload is not None:
                digest = hashlib.sha256(payload).hexdigest()[:12]
                kept = f"{object_id.folder}/set_aside/{digest}-{name}"
                self.store.put_bytes(kept, payload, only_if_absent=True, durable=True)
        # The receipt first: data without one is no object. Of two names the former, which is not to be the only one.
        for key in (object_id.folder + FORMER_RECEIPT, object_id.receipt_key, object_id.data_key):
            self.store.delete(key)

    def history(self, object_id: ObjectId) -> list[Receipt]:
        """Every receipt the object ever had, oldest first, the current one last."""
        earlier = [self.store.get_bytes(found.key) for found in self.store.list(f"{object_id.folder}/history")]
        held = stored_receipt(self.store, object_id.folder)
        now = Receipt.from_json(held[1]) if held else receipt_in_month(self.store, object_id.folder)
        return [*(Receipt.from_json(payload) for payload in earlier if payload), *([now] if now else [])]

    def index(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The index as last written, or these columns of it: one row per dataset, market, interval and UTC day; empty
        before that."""
        return index.table_of(self.store, INDEX, columns)

    def coverage(self) -> pa.Table:
        """Which hours were collected, as last written: one row per dataset, venue, symbol and hour."""
        return index.table_of(self.store, COVERAGE)

    def defects(self) -> pa.Table:
        """What was published and not used as published, as last written: one row per defect of a current receipt."""
        return index.table_of(self.store, DEFECTS)

    def as_of_now(self) -> tuple[pa.Table, pa.Table]:
        """The index and the defects as last written, but for what was lost or changed since; nothing is written."""
        return index.as_of_now(self.store)

    def listed(self) -> Listed:
        """The zone as it is now: its objects, or, of a zone of which only what writers have noted is listed, their
        versions as the tables have them."""
        return index.listed(self.store, only_noted=self._only_noted)

    def index_is_current(self, now: Listed | None = None) -> bool:
        """Whether `write_index` would change nothing; hashes nothing (`ingestion.raw.index.is_current`).

        `now`: what `listed` returned, where that was called before.
        """
        return index.is_current(self.store, now or self.listed())

    def sweep(self) -> None:
        """Remove what killed writers left of files that they never put in place, wherever a writer is noted."""
        sweep_noted(self.store, noted(self.store).values())

    def write_index(
        self,
        scratch: Path | None = None,
        *,
        rehashes: bool = False,
        notice: Callable[[str], None] = lambda text: None,
    ) -> pa.Table:
        """Bring the index, and the coverage and defects beside it, up to date with the receipts and with what is really
        stored (`ingestion.raw.index.update`).

        `scratch`: where an object of an older schema is rewritten; None for the system's folder for temporary files.
        """
        return index.update(self.store, scratch, rehashes=rehashes, notice=notice, only_noted=self._only_noted)


class DryZone(RawZone):
    """The raw zone of a dry run: read as usual, and Due where anything would be stored."""

    def will_store(self) -> None:
        raise Due

    def put(
        self,
        object_id: ObjectId,
        data: Path | None,
        receipt: Receipt,
        quarantine: Path | None = None,
        *,
        replaces_others: bool = False,
    ) -> Receipt:
        raise Due
