"""The raw zone: one Parquet object per (dataset, market, period), each with a receipt.

Belongs here: storing and reading one object, in a fixed order (data first, receipt last).
Does not: the form of receipts (`ingestion.raw.receipts`), tables of them (`ingestion.raw.index`), where rows come from
(`ingestion.archive`), how objects are stored (`ingestion.raw.store`).

A reader trusts only what has a receipt. A receipt that is replaced moves to `history/` beside it, and never changes.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import StorageError
from ingestion.raw import index
from ingestion.raw.index import COVERAGE_KEY, DEFECTS_KEY, INDEX_KEY
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
from ingestion.raw.store import ObjectStore

__all__ = [
    "COVERAGE_KEY",
    "DEFECTS_KEY",
    "INDEX_KEY",
    "SCHEMA_VERSION",
    "Defect",
    "ObjectId",
    "RawZone",
    "Receipt",
    "Source",
]


class RawZone:
    """The raw zone of one object store. Holds no connection and no state of its own beyond the store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @property
    def url(self) -> str:
        """What dbt gets as `raw_url`: a folder or `s3://…/raw`."""
        return self.store.url("raw")

    def receipt(self, object_id: ObjectId) -> Receipt | None:
        """The object's current receipt; None when it was never requested."""
        return readable(self.store.get_bytes(object_id.receipt_key))

    def collected_receipt(self, object_id: ObjectId) -> Receipt | None:
        """The receipt of data that cannot be fetched again: StorageError, not None, for one that cannot be read."""
        payload = self.store.get_bytes(object_id.receipt_key)
        receipt = readable(payload)
        if payload is not None and receipt is None:
            raise StorageError(
                f"{object_id.receipt_key} cannot be read, and without it the hours stored beside it would be "
                "overwritten; restore it from a copy, or delete it and put the day's sealed files back into the spool "
                "(docs/collect.md)"
            )
        return receipt

    def rows(self, object_id: ObjectId) -> pa.Table:
        """The stored rows of one object, under the current schema. StorageError when there are none."""
        payload = self.store.get_bytes(object_id.data_key)
        if payload is None:
            raise StorageError(f"{object_id.data_key} is missing beside its receipt; delete the receipt and run again")
        return with_todays_schema(pq.read_table(io.BytesIO(payload), partitioning=None), DATASETS[object_id.dataset])

    def put(self, object_id: ObjectId, data: Path | None, receipt: Receipt, quarantine: Path | None = None) -> Receipt:
        """Store the object, keep the receipt it replaces, and return the new one with its revision.

        `quarantine`: the rows that were set aside, kept beside the data. Without `data`, what is stored stays.
        """
        held_bytes = self.store.get_bytes(object_id.receipt_key)
        held = readable(held_bytes)
        if held is not None and held_bytes is not None:
            receipt = replace(receipt, revision=held.revision + is_corrected(held, receipt))
            if not only_grew(held, receipt) and not is_annotated(held, receipt):
                kept = f"{object_id.folder}/history/{held.known_at:%Y%m%dT%H%M%S%fZ}.json"
                self.store.put_bytes(kept, held_bytes, only_if_absent=True)
        # A file of an archive can be fetched again; what was received live cannot.
        durable = receipt.dataset not in ARCHIVED
        if data is not None:
            receipt = replace(receipt, schema_version=SCHEMA_VERSION)
            self.store.put_file(object_id.data_key, data, durable=durable)
            if quarantine is not None:
                self.store.put_file(object_id.quarantine_key, quarantine, durable=durable)
            elif held is None or has_quarantine(held):
                self.store.delete(object_id.quarantine_key)
        self.store.put_bytes(object_id.receipt_key, receipt.to_json(), durable=durable)
        return receipt

    def history(self, object_id: ObjectId) -> list[Receipt]:
        """Every receipt the object ever had, oldest first, the current one last."""
        earlier = [self.store.get_bytes(found.key) for found in self.store.list(f"{object_id.folder}/history")]
        payloads = [*earlier, self.store.get_bytes(object_id.receipt_key)]
        return [Receipt.from_json(payload) for payload in payloads if payload]

    def index(self) -> pa.Table:
        """The index as last written: one row per dataset, market, interval and UTC day; empty before that."""
        return index.table_of(self.store, index.INDEX)

    def coverage(self) -> pa.Table:
        """Which hours were collected, as last written: one row per dataset, venue, symbol and hour."""
        return index.table_of(self.store, index.COVERAGE)

    def defects(self) -> pa.Table:
        """What was published and not used as published, as last written: one row per defect of a current receipt."""
        return index.table_of(self.store, index.DEFECTS)

    def write_index(self, scratch: Path | None = None) -> pa.Table:
        """Bring the index, and the coverage and defects beside it, up to date with the receipts.

        `scratch`: where an object of an older schema is rewritten; None for the system's folder for temporary files.
        """
        return index.update(self.store, scratch)
