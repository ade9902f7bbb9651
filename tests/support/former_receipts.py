"""Storage as versions left it whose receipts were called `receipt.json`.

Belongs here: making one of present storage. Does not: what is done about it (`ingestion.raw.names`).
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ingestion.raw.names import FORMER_RECEIPT, RECEIPT, present_key
from ingestion.raw.soundness import read_table, table_bytes
from ingestion.raw.tables import TABLES
from ingestion.raw.zone import RawZone


def as_formerly(zone: RawZone) -> RawZone:
    """The zone as a former version would have left it."""
    store = zone.store
    for found in store.list("raw"):
        if found.key.endswith(RECEIPT):
            store.put_bytes(found.key.removesuffix(RECEIPT) + FORMER_RECEIPT, store.get_bytes(found.key) or b"")
            store.delete(found.key)
    versions = {found.key: found.version for found in store.list("raw")}
    for derived in TABLES:
        table = read_table(store.get_bytes(derived.key), derived.schema)
        if table is None:
            continue
        former = [present_key(key).removesuffix(RECEIPT) + FORMER_RECEIPT for key in table["receipt_key"].to_pylist()]
        table = _with_column(table, "receipt_key", former)
        if "receipt_version" in table.column_names:
            table = _with_column(table, "receipt_version", [versions[key] for key in former])
        store.put_bytes(derived.key, table_bytes(table))
    return zone


def _with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, pa.string()))
