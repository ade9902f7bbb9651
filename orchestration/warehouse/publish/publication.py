"""The use case: audited marts become the publication that readers see, on every target or on none.

Belongs here: the order in which targets are prepared, and the one place where readers are switched over (`_switch`).
Does not: how each target is written (the modules beside).

Everything that can fail is prepared where no reader looks: a DuckDB file under another name, a Parquet version that
nothing refers to yet, an open PostgreSQL transaction. Then readers are switched over, by a replaced `latest.json`, a
renamed file and a commit, which are unlikely to fail.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.store import LocalStore
from orchestration.state.disk import full_disk_sentence
from orchestration.state.locks import DEFAULT_WAIT_SECONDS, Report
from orchestration.warehouse.publish import database, parquet, postgres, revisions
from orchestration.warehouse.publish.exclusive import alone_on
from orchestration.warehouse.publish.former import former_publication
from orchestration.warehouse.publish.tables import PublicationError, Table, describe
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

    from ingestion.raw.store import ObjectStore

_HISTORY_KEYS: Final = {
    revisions.REVISIONS: ("definition_id", "market_id", "side", "bar_at", "published_at"),
    revisions.SOURCES: ("market_id", "dataset", "kline_interval", "trade_date", "source_key"),
}


@dataclass(frozen=True)
class Publication:
    """What was published.

    `rows` per table, the days covered (None when there is no bar at all), the markets, the `version` of the Parquet
    files, how many ranks a corrected file changed (`revised_ranks`), and what PostgreSQL holds, None without one.
    `notices`: what was found damaged, and what that means for the history.
    """

    rows: Mapping[str, int]
    first_day: date | None
    last_day: date | None
    markets: tuple[str, ...]
    version: str
    revised_ranks: int
    postgres: postgres.PostgresReport | None
    notices: tuple[str, ...] = ()


def publish(
    warehouse: Path,
    serving: Path,
    store: ObjectStore,
    marts: Sequence[str],
    *,
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
    keys: Mapping[str, Sequence[str]] | None = None,
    postgres_url: str | None = None,
    scratch: Path | None = None,
    memory_limit: str = "1024MiB",
    lock_wait: float = DEFAULT_WAIT_SECONDS,
    report: Report = lambda text: None,
) -> Publication:
    """Publish the marts of `warehouse` to the file `serving`, as Parquet on `store`, and to PostgreSQL if there is one.

    `keys`: key columns by mart. Readers that hold the former file, version or transaction keep it; new ones get the new
    publication. When anything fails before the switch, the former publication is untouched on every target.

    The caller alone builds and publishes from this state folder; of those that publish to the same `store`, one waits
    for the other at most `lock_wait` seconds (Busy), and gives `report` the sentences. `scratch`: where files are put
    together, and DuckDB writes what exceeds `memory_limit`.
    """
    keys = {**(keys or {}), **_HISTORY_KEYS}
    serving.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="taker-publish-", dir=scratch) as name,
        alone_on(store, wait=lock_wait, report=report, run_id=run_id) as refuse_unless_alone,
        _staged(serving) as (staged, out),
    ):
        folder = Path(name)
        out.execute(f"set memory_limit = {literal(memory_limit)}")
        out.execute(f"set temp_directory = {literal(str(folder / 'spill'))}")
        former, notices = former_publication(serving, store, folder)
        revised = _copy(out, warehouse, {mart: keys.get(mart, ()) for mart in marts}, former, run_id=run_id, now=now)
        first, last, markets = span = database.span_of(out, marts)
        database.write_publication(out, span, run_id=run_id, settings=settings, audit=audit, now=now)
        exported = [describe(out, mart, keys.get(mart, ())) for mart in (*marts, *revisions.TABLES)]
        database.write_tables(out, exported)

        files = [parquet.export(out, table, folder) for table in exported]
        manifest = parquet.manifest(files, now=now, run_id=run_id, first_day=first, last_day=last, markets=markets)
        parquet.store_version(store, files, manifest)
        with _loaded(postgres_url, out, exported, folder) as loaded:
            out.close()
            refuse_unless_alone()
            _refuse_full_disk(store, files)
            _switch(staged, serving, store, files, manifest)
        parquet.prune(store)
    rows = {table.name: table.rows for table in exported}
    return Publication(rows, first, last, tuple(markets), manifest["version"], revised, loaded, tuple(notices))


def _copy(
    out: duckdb.DuckDBPyConnection,
    warehouse: Path,
    marts: Mapping[str, Sequence[str]],
    former: Path | None,
    *,
    run_id: str,
    now: datetime,
) -> int:
    """Fill the staged file with the marts and the history of their ranks; returns how many ranks were revised.

    `marts`: the key columns of each.
    """
    out.execute(f"attach {literal(str(warehouse))} as warehouse (read_only)")
    for mart, key in marts.items():
        database.copy_mart(out, mart, key)
    revised = revisions.carry_revisions(out, former, published_at=now, run_id=run_id)
    out.execute("detach warehouse")
    revisions.refuse_broken(out)
    return revised


def _loaded(
    url: str | None, out: duckdb.DuckDBPyConnection, exported: Sequence[Table], scratch: Path
) -> contextlib.AbstractContextManager[postgres.PostgresReport | None]:
    """A block around which PostgreSQL holds all tables, uncommitted until the block ends; nothing without a URL."""
    if not url:
        return contextlib.nullcontext()
    about = [describe(out, database.PUBLICATION), describe(out, database.PUBLICATION_TABLES, ("table_name",))]
    return postgres.replaced(url, out, [*exported, *about], scratch)


def _refuse_full_disk(store: ObjectStore, files: Sequence[parquet.ParquetFile]) -> None:
    """PublicationError while nothing is switched, where the files at the stable places would not all find room."""
    if isinstance(store, LocalStore) and shutil.disk_usage(store.root).free < sum(file.size for file in files):
        raise PublicationError(full_disk_sentence("nothing was published", [store.root]))


def _switch(
    staged: Path,
    serving: Path,
    store: ObjectStore,
    files: Sequence[parquet.ParquetFile],
    manifest: Mapping[str, Any],
) -> None:
    """Send readers to the new publication. The caller's block ends with the commit of PostgreSQL."""
    parquet.make_latest(store, files, manifest)
    os.replace(staged, serving)


@contextlib.contextmanager
def _staged(serving: Path) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    """A new database file beside `serving` and a connection to it, in UTC; what is left of it is removed in the end."""
    import duckdb

    staged = serving.with_name(f".{serving.name}.building")
    staged.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(staged)) as out:
            out.execute("set timezone = 'UTC'")
            yield staged, out
    finally:
        staged.unlink(missing_ok=True)
        staged.with_name(f"{staged.name}.wal").unlink(missing_ok=True)
