"""The whole raw zone against its receipts: every object is hashed, whatever is remembered of earlier runs.

Belongs here: what is wrong, with its market, period and file, and what to do. Changes nothing.
Does not: the judgement of one object (`ingestion.raw.soundness`), the published marts (`orchestration.serving`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ingestion.raw.months import receipt_in_month
from ingestion.raw.names import DATA, RECEIPT, by_present_key, days_of, stored_receipt
from ingestion.raw.receipts import Receipt, has_quarantine, readable
from ingestion.raw.soundness import Inspector
from ingestion.raw.store import ObjectStore, StoredObject
from ingestion.raw.tables import remedy

_QUARANTINE: Final = "/_quarantine.parquet"
# Most of the time is spent waiting for a disk or a server.
_AT_ONCE: Final = 2 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class RawFault:
    """One thing that is wrong. `key`: the file. `what`, `remedy`: sentences without a full stop."""

    market_id: str
    dataset: str
    interval: str
    period: str
    key: str
    what: str
    remedy: str


@dataclass(frozen=True)
class RawVerdict:
    """How many objects were hashed, their size, and what is wrong."""

    objects: int
    bytes: int
    faults: tuple[RawFault, ...]


def verify(store: ObjectStore, report: Callable[[int, int], None] = lambda done, objects: None) -> RawVerdict:
    """Hash every object, in parallel and in blocks, so that memory is bounded. `report`: how many are done, of how
    many; called from one thread."""
    listed, _ = by_present_key(store.list("raw"))
    folders = sorted({key.rpartition("/")[0] for key in listed if key.endswith((RECEIPT, DATA))})
    inspector = Inspector(store, listed, rehashes=True)

    def judged(folder: str) -> list[RawFault]:
        return list(_faults(folder, store, inspector, listed))

    faults: list[RawFault] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done, found in enumerate(pool.map(judged, folders), start=1):
            faults += found
            report(done, len(folders))
    data = [found for key, found in listed.items() if key.endswith(DATA)]
    return RawVerdict(len(data), sum(found.size for found in data), tuple(faults))


def _faults(
    folder: str, store: ObjectStore, inspector: Inspector, listed: dict[str, StoredObject]
) -> Iterator[RawFault]:
    data_key = folder + DATA
    held = stored_receipt(store, folder) if folder + RECEIPT in listed else None
    if held is None:
        if receipt_in_month(store, folder) is not None:
            return  # merged: nothing reads it any more, and the next merging of months removes it
        yield _fault(folder, data_key, "has no receipt, so that nothing reads it", _remake(folder))
        return
    receipt_key, payload = held
    receipt = readable(payload)
    if receipt is None or receipt.folder != folder:
        what = "cannot be read" if receipt is None else f"is the receipt of {receipt.folder}"
        yield _fault(folder, receipt_key, what, _remake(folder))
        return
    fault = inspector.fault(folder, receipt)
    if fault:
        yield _fault(folder, data_key, fault, remedy(receipt))
    for each in receipt.merged or (receipt,):
        quarantine_key = each.folder + _QUARANTINE
        if each.status == "stored" and has_quarantine(each) and quarantine_key not in listed and not _is_live(each):
            yield _fault(
                folder,
                quarantine_key,
                "is missing: the rows that were set aside",
                "nothing reads it"
                + ("" if receipt.merged else f"; to have it again, delete {receipt_key} and run the day"),
            )


def _is_live(receipt: Receipt) -> bool:
    """What was set aside of collected and requested rows is counted, and not kept."""
    return any(source.key.startswith(("spool/", "rest/")) for source in receipt.sources)


def _fault(folder: str, key: str, what: str, remedy: str) -> RawFault:
    parts = folder.split("/")
    values = dict(part.split("=", 1) for part in parts[2:] if "=" in part)
    market = f"{values.get('venue', '')}:{values.get('symbol', '')}"
    return RawFault(market, parts[1], values.get("interval", ""), _period(folder), key, what, remedy)


def _period(folder: str) -> str:
    return folder.rpartition("=")[2]


def _remake(folder: str) -> str:
    """What to do about an object whose receipt is of no use."""
    if days_of(folder):
        return "its days are stored beside it, and `taker merge-months` makes it anew"
    period = _period(folder)
    values = dict(part.split("=", 1) for part in folder.split("/")[2:] if "=" in part)
    market = f"{values.get('venue', '')}:{values.get('symbol', '')}"
    days = f"--from {period} --to {period}" if len(period) == len("2024-08-08") else f"with the days of {period}"
    return f"`taker run --markets {market} {days}` makes it anew, if the venue still has it"
