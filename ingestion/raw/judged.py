"""A listed receipt as the index takes it up: read, its object in the current schema, and what is wrong with that.

Belongs here: one receipt and its object. Does not: the tables of all (`ingestion.raw.index`), how an object is compared
with its receipt (`ingestion.raw.soundness`).
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore
from typing import Final

import pyarrow.parquet as pq

from ingestion.decode.parquet import write_rows
from ingestion.domain.datasets import ARCHIVED, DATASETS, Dataset
from ingestion.domain.errors import StorageError
from ingestion.raw.months import rows_of_object, schema_of_month, write_month
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


def by_day(judged: Iterable[Judged], listing: Collection[str]) -> list[Judged]:
    """The same, but of a merged month each of its days, without those that have receipts of their own in the listing:
    a day's own object comes before what the month has of it."""
    days = []
    for each in judged:
        month = each.receipt
        if month is None or not month.merged:
            days.append(each)
            continue
        own = (day for day in month.merged if day.folder + RECEIPT not in listing)
        days += [replace(each, receipt=replace(day, within=month)) for day in own]
    return days


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
    schema = schema_of_month(dataset) if receipt.merged else dataset.schema
    if not pq.read_schema(io.BytesIO(payload)).equals(schema):
        with tempfile.TemporaryDirectory(prefix="taker-", dir=scratch) as made_in:
            target = Path(made_in, "data.parquet")
            _write_anew(payload, receipt, dataset, target)
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
        merged=tuple(replace(day, schema_version=SCHEMA_VERSION) for day in receipt.merged),
    )
    store.put_bytes(found.key, receipt.to_json(), durable=durable)
    store.delete(note_key)
    return Judged(inspector.listed_again(each.folder)[found.key], receipt)


def _write_anew(payload: bytes, receipt: Receipt, dataset: Dataset, target: Path) -> None:
    """The rows of the object under the current schema. Of a merged month, a row group in memory at a time."""
    if receipt.merged:
        source = target.with_name("former.parquet")
        source.write_bytes(payload)
        stored = [day.first_day for day in receipt.merged if day.status == "stored"]
        write_month(((day, rows_of_object(source, dataset, day)) for day in stored), dataset, target)
        return
    table = pq.read_table(io.BytesIO(payload), partitioning=None)
    write_rows([with_todays_schema(table, dataset)], dataset, None, target)
