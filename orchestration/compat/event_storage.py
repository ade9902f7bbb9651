"""Dagster's SQLite event log, with a range of partitions written in one transaction.

Belongs here: the storage class that the generated `dagster.yaml` names. Does not: what is logged.

Errors of libraries quote addresses with what is secret in them, and Dagster stores their texts with every traceback:
here is the one place that all of it passes.

Dagster hands over a range's events in batches when DAGSTER_EVENT_BATCH_SIZE is set, but its SQLite storage then writes
them one by one, each over three connections of its own: 760 partitions took 14.6 s. Written at once they take 2.7 s.
    Upstream: https://github.com/dagster-io/dagster/issues/19829 (open) and pull/19862, which batches events but
    overrides `store_event_batch` for PostgreSQL only.
    Remove when: SqliteEventLogStorage.store_event_batch writes a batch in one transaction. The `dagster.yaml` files
    that were generated until then name this class: `orchestration.runs.instance` must rewrite them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value

from ingestion.domain.redaction import redacted

# This storage is only useful with the batches that it is made for.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage whose batches are one transaction per database, and which stores no password of an address.
    Same files, same tables.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        super().store_event(_without_secrets(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events in order; all but the asset events of one run go through the original method."""
        events = [_without_secrets(event) for event in events]
        batched = [event for event in events if event.is_dagster_event and event.dagster_event_type in ASSET_EVENTS]
        if not batched or len({event.run_id for event in events}) > 1:
            super().store_event_batch(events)
            return
        super().store_event_batch([event for event in events if event.dagster_event_type not in ASSET_EVENTS])
        statements = [self.prepare_insert_event(event) for event in batched]
        with self.run_connection(batched[0].run_id) as connection:
            for statement in statements:
                connection.execute(statement)
        # Asset events are mirrored in the index that spans runs, as SqliteEventLogStorage.store_event does for one.
        with self.index_transaction() as connection:
            results = [connection.execute(statement) for statement in statements]
            ids = [int(key[0]) for key in (result.inserted_primary_key for result in results) if key is not None]
            self._store_asset_event_tags(connection, batched, ids)
            for event, event_id in zip(batched, ids, strict=True):
                self._store_asset_event(connection, event, event_id)


def _without_secrets(event: EventLogEntry) -> EventLogEntry:
    """The event, with the secrets of the addresses in it hidden."""
    text = serialize_value(event)
    hidden = redacted(text)
    return event if hidden == text else deserialize_value(hidden, EventLogEntry)
