"""A listed receipt as the index takes it up: read, its object in the current schema, and what is wrong with that.

Belongs here: one receipt and its object. Does not: the tables of all (`ingestion.raw.index`), how an object is compared
with its receipt (`ingestion.raw.soundness`).
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import Final

import pyarrow.parquet as pq

from ingestion.decode.parquet import write_rows
from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import StorageError
from ingestion.raw.names import DATA, RECEIPT, stored_receipt
from ingestion.raw.receipts import SCHEMA_VERSION, Receipt, readable
from ingestion.raw.schema import with_todays_schema
from ingestion.raw.soundness import Inspector
from ingestion.raw.store import ObjectStore, StoredObject
from ingestion.raw.tables import remedy

# An object that is replaced while it is judged is judged again so often.
_MOST_LOOKS: Final = 3
# Beside an object that is being rewritten: the sha256 of what replaces it.
_REWRITING: Final = "rewriting.sha256"


@dataclass(frozen=True)
class Judged:
    """A listed receipt; None for a torn one. `fault`: what is wrong with its data object, None where nothing is."""

    found: StoredObject
    receipt: Receipt | None
    fault: str | None = None

    @property
    def folder(self) -> str:
        return self.found.key.removesuffix(RECEIPT)


def read(store: ObjectStore, found: StoredObject) -> Receipt | None:
    """The listed receipt; None for a torn one, or another object's: the next ingestion of its period replaces it."""
    held = stored_receipt(store, found.key.removesuffix(RECEIPT))
    if held is None:
        raise StorageError(f"{found.key} disappeared while the index was written; run the same command again")
    receipt = readable(held[1])
    return receipt if receipt is not None and receipt.folder + RECEIPT == found.key else None


def judged_again(store: ObjectStore, inspector: Inspector, each: Judged) -> Judged:
    """The receipt with what is wrong with its object. What is replaced meanwhile is judged as it is then."""
    for _ in range(_MOST_LOOKS):
        fault = inspector.fault(each.folder, each.receipt)
        if fault is None:
            return each
        now = inspector.listed_again(each.folder)
        found = now.get(each.found.key)
        if found is None or found.version == each.found.version:
            # The data may have been listed before it was replaced, and the receipt after.
            return replace(each, fault=inspector.fault(each.folder, each.receipt))
        each = Judged(found, read(store, found))
    return replace(each, fault=inspector.fault(each.folder, each.receipt))


def found_wrong(judged: Sequence[Judged]) -> Iterator[str]:
    """A sentence for each object that cannot be used, without a full stop."""
    for each in judged:
        if each.receipt is None:
            yield (
                f"{each.found.key} cannot be read, so its period is not covered; `taker run` with its market and days "
                "makes it anew"
            )
        elif each.fault:
            receipt = each.receipt
            what = f"{receipt.market.market_id} {receipt.dataset} {receipt.interval}".rstrip()
            yield (
                f"{what} {receipt.period}: {each.folder}{DATA} {each.fault}; its days are not covered; "
                f"{remedy(receipt)}"
            )


def with_current_schema(
    store: ObjectStore, inspector: Inspector, scratch: Path | None, rewriting: Semaphore, each: Judged
) -> Judged:
    """The listed receipt, once its object has the current schema. `rewriting` bounds how many are in memory."""
    receipt = each.receipt
    if receipt is None or receipt.status != "stored" or receipt.schema_version >= SCHEMA_VERSION:
        return each
    with rewriting:
        return _rewritten(store, inspector, scratch, each, receipt)


def _rewritten(
    store: ObjectStore, inspector: Inspector, scratch: Path | None, each: Judged, receipt: Receipt
) -> Judged:
    """The listed receipt of an object of an older schema, rewritten without loss.

    First the data, then the receipt. A kill in between leaves an older receipt beside current data, which then is only
    read; what it must be was noted before. An object that is replaced meanwhile is left to the next update, and a
    damaged one as it is.
    """
    found = each.found
    data_key, note_key = each.folder + DATA, f"{each.folder}/{_REWRITING}"
    dataset = DATASETS.get(receipt.dataset)
    payload = store.get_bytes(data_key)
    if dataset is None or payload is None:
        return each
    sha256 = hashlib.sha256(payload).hexdigest()
    if sha256 not in (receipt.stored_sha256 or sha256, (store.get_bytes(note_key) or b"").decode("ascii", "replace")):
        return each
    durable = receipt.dataset not in ARCHIVED
    table = pq.read_table(io.BytesIO(payload), partitioning=None)
    if not table.schema.equals(dataset.schema):
        with tempfile.TemporaryDirectory(prefix="taker-", dir=scratch) as made_in:
            target = Path(made_in, "data.parquet")
            write_rows([with_todays_schema(table, dataset)], dataset, None, target)
            payload = target.read_bytes()
            sha256 = hashlib.sha256(payload).hexdigest()
            if readable(store.get_bytes(found.key)) != receipt:
                return each
            store.put_bytes(note_key, sha256.encode(), durable=durable)
            store.put_file(data_key, target, durable=durable)
    receipt = replace(
        receipt,
        schema_version=SCHEMA_VERSION,
        stored_bytes=len(payload),
        stored_sha256=sha256,
    )
    store.put_bytes(found.key, receipt.to_json(), durable=durable)
    store.delete(note_key)
    return Judged(inspector.listed_again(each.folder)[found.key], receipt)
