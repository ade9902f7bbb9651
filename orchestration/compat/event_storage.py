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

Each event outside a batch opens its databases anew: an engine of SQLAlchemy with an empty cache of statements, a file
and its write-ahead log, which SQLite copies back and deletes when its last connection closes, waiting for the disk each
time. A run of 1,000 events spent a third of its time there. Here a connection stays open as long as its file is there.
    Upstream: dagster/_core/storage/event_log/sqlite/sqlite_event_log.py, where `_connect` makes an engine each time.
    Remove when: SqliteEventLogStorage._connect keeps its engines.

For each materialization and check Dagster looks whether the tables of later releases are there, over a connection of
its own that takes half a millisecond. A table, or a finished migration, stays as long as its file: what was found once
is not looked for again.
    Upstream: `has_table` in the same module, and `has_secondary_index` in ../sql_event_log.py; no issue is known.
    Remove when: they keep what they found.

What is written then stays in the write-ahead log until the connection closes, and Dagster watches the database's file
alone for a page that shows a run: it showed no event before its next look, 15 s later. Here the log is watched too.
    Upstream: SqliteEventLogStorageWatchdog, in the same module.
    Remove when: connections close after each event again.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dagster import EventLogEntry
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData, deserialize_value, serialize_value
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.event import listen
from sqlalchemy.pool import NullPool, StaticPool

from ingestion.domain.redaction import redacted

# This storage is only useful with the batches that it is made for.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")

# The index, the run that goes on, and some that are looked at.
_KEPT_OPEN: Final = 4


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage whose batches are one transaction per database, and which stores no password of an address.
    Same files, same tables.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: OrderedDict[str, tuple[Engine, _Identity]] = OrderedDict()
        # Tables and migrations that the index has.
        self._found: set[tuple[str, str]] = set()
        # A run's database before its first event: every one begins so, and Alembic takes its time to make it.
        self._empty = b""
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        """The engine of this database, whose one connection is open; the caller holds the lock.

        A new one when the file was replaced or removed meanwhile, and in another process than the one that opened it.
        """
        path = Path(self.path_for_shard(shard))
        engine, identity = self._open.get(shard, (None, None))
        if engine is not None and identity == _identity(path):
            self._open.move_to_end(shard)
            return engine
        if engine is not None:
            self._close(shard)
            self._initialized_dbs.discard(shard)
            self._found.clear()
        address, options = self.conn_string_for_shard(shard), {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        if shard not in self._initialized_dbs:
            if not (self._empty and _created(path, self._empty)):
                is_new = not path.exists()
                self._initdb(create_engine(address, poolclass=NullPool, connect_args=options))
                if is_new and shard != INDEX_SHARD_NAME:
                    self._empty = path.read_bytes()
            self._initialized_dbs.add(shard)
        # One connection for every thread: the lock lets one of them at it.
        engine = create_engine(address, poolclass=StaticPool, connect_args={**options, "check_same_thread": False})
        listen(engine, "connect", _relaxed)
        with engine.connect():
            self._open[shard] = engine, _identity(path)
        while len(self._open) > _KEPT_OPEN:
            self._close(next(iter(self._open)))
        return engine

    def _close(self, shard: str) -> None:
        engine, identity = self._open.pop(shard)
        # A connection of the process that this one was forked from is that one's to close.
        engine.dispose(close=identity is not None and identity[0] == os.getpid())

    def has_table(self, table_name: str) -> bool:
        return self._has("table", table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        return self._has("migration", name, super().has_secondary_index)

    def _has(self, kind: str, name: str, look: Callable[[str], bool]) -> bool:
        if (kind, name) not in self._found and look(name):
            self._found.add((kind, name))
        return (kind, name) in self._found

    def dispose(self) -> None:
        with self._db_lock:
            for shard in list(self._open):
                self._close(shard)
        super().dispose()

    def watch(self, run_id: str, cursor: str | None, callback: Any) -> None:
        super().watch(run_id, cursor, callback)
        watcher, _ = self._watchers[run_id][callback]
        database = self.path_for_shard(run_id)
        watcher._patterns = [database, f"{database}-wal"]
        watcher.on_modified = lambda event: watcher._process_log()

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


_Identity = tuple[int, int, int] | None


def _identity(path: Path) -> _Identity:
    """This process, and the file that has this name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return os.getpid(), found.st_dev, found.st_ino


def _created(path: Path, content: bytes) -> bool:
    """Make a file of this content, at once; False where there is one, or where it cannot be made."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        staged.write_bytes(content)
        os.link(staged, path)
    except OSError:
        return False
    finally:
        staged.unlink(missing_ok=True)
    return True


def _relaxed(connection: Any, _: object) -> None:
    """Events are on their way to the disk when written, as the log's other half is: a killed process loses none."""
    connection.execute("pragma synchronous = normal")


def _without_secrets(event: EventLogEntry) -> EventLogEntry:
    """The event, with the secrets of the addresses in it hidden."""
    text = serialize_value(event)
    hidden = redacted(text)
    return event if hidden == text else deserialize_value(hidden, EventLogEntry)
