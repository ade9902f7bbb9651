"""What the objects in the folder of a period are called, and receipts under the name that they had before.

Belongs here: the names, which month may hold a day, reading a receipt or a listing whichever name it has, renaming.
Does not: what a receipt states (`ingestion.raw.receipts`), when receipts are renamed (`ingestion.raw.index`).

Spark, Trino, Athena and Hive read every file of a partition's folder as data, except those whose name begins with an
underscore or a dot. Receipts were called `receipt.json`; storage of that time is read as it is, and renamed by the next
update of the index. Where a folder has both names, the present one is right: it was made of the former or after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ingestion.domain.datasets import ARCHIVED, MERGEABLE
from ingestion.domain.errors import StorageError
from ingestion.raw.store import ObjectStore, StoredObject

RECEIPT: Final = "/_receipt.json"
FORMER_RECEIPT: Final = "/receipt.json"
DATA: Final = "/data.parquet"
OF_AN_OBJECT: Final = (DATA[1:], RECEIPT[1:])
WITHOUT_DATA: Final = (RECEIPT[1:],)
# The folder of a day, of the month of days that it may have been merged into, or what they begin with.
_DAY: Final = re.compile(r"(raw/([^/]+)/.*)/date=(\d{4}-\d\d)(?:-\d\d)?$")
_MONTH: Final = re.compile(r"(raw/([^/]+)/.*)/month=(\d{4}-\d\d)$")


def month_of(folder: str) -> str | None:
    """The folder of the object that the object of a day is in once its month is merged; None where that never is."""
    found = _DAY.match(folder)
    return f"{found[1]}/month={found[3]}" if found and found[2] in MERGEABLE else None


def days_of(folder: str) -> str | None:
    """What the folders of the days begin with that the object of a month was merged of; None for any other object."""
    found = _MONTH.match(folder)
    return f"{found[1]}/date={found[3]}" if found and found[2] in MERGEABLE else None


def data_key(receipt_key: str) -> str:
    """The key of the object that a receipt describes."""
    return present_key(receipt_key).removesuffix(RECEIPT) + DATA


def present_key(key: str) -> str:
    """The key of a receipt under the present name; any other key as it is."""
    return key.removesuffix(FORMER_RECEIPT) + RECEIPT if key.endswith(FORMER_RECEIPT) else key


def stored_receipt(store: ObjectStore, folder: str) -> tuple[str, bytes] | None:
    """Key and bytes of the receipt in the folder; None where there is none under either name."""
    # The present name twice: the receipt may be renamed between the first two looks.
    for key in (folder + RECEIPT, folder + FORMER_RECEIPT, folder + RECEIPT):
        payload = store.get_bytes(key)
        if payload is not None:
            return key, payload
    return None


def by_present_key(found: Iterable[StoredObject]) -> tuple[dict[str, StoredObject], list[str]]:
    """Listed objects by key, a receipt under its present name whatever it is called; and the keys of the former name.

    Read such a receipt with `stored_receipt`.
    """
    listed = {each.key: each for each in found}
    former = [key for key in listed if key.endswith(FORMER_RECEIPT)]
    for key in former:
        as_now = present_key(key)
        listed.setdefault(as_now, listed.pop(key)._replace(key=as_now))
    return listed, former


def rename(store: ObjectStore, former: Sequence[str]) -> None:
    """Give these receipts the present name. Killed at any moment, it can be repeated; others may write meanwhile."""
    with ThreadPoolExecutor(store.at_once) as pool:
        for _ in pool.map(lambda key: _rename(store, key), former):
            pass


def _rename(store: ObjectStore, former: str) -> None:
    key = present_key(former)
    payload = store.get_bytes(former)
    if payload is None:
        return
    # What was received live cannot be fetched again: its receipt is on the disk before the former one goes.
    durable = former.split("/")[1] not in ARCHIVED
    is_new = store.put_bytes(key, payload, only_if_absent=True, durable=durable)
    if not is_new and store.get_bytes(key) is None:
        raise StorageError(f"cannot rename {former} to {key}: the storage refused it; run the same command again")
    store.delete(former)
