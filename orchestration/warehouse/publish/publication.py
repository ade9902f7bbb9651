"""The use case: audited marts become the publication that readers see, on every target or on none.

Belongs here: the order in which targets are prepared, and the one place where readers are switched over (`_switch`).
Does not: how each target is written (the modules beside).

Everything that can fail is prepared where no reader looks: a DuckDB file under another name, a Parquet version that
nothing refers to yet, open transactions of PostgreSQL and of the lake. Then readers are switched over, by a replaced
`latest.json`, a renamed file and commits, which are unlikely to fail.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.store import LocalStore
from orchestration.state.disk import full_disk_sentence
from orchestration.state.exclusive import Right, alone_on
from orchestration.state.locks import DEFAULT_WAIT_SECONDS, Report
from orchestration.warehouse.database_file import remove, staged_for
from orchestration.warehouse.lake.catalog import LakeUnusable, TeamLake, without_password
from orchestration.warehouse.lake.expiry import tidy
from orchestration.warehouse.place import Warehouse, opened
from orchestration.warehouse.publish import database, lake, parquet, postgres, revisions
from orchestration.warehouse.publish.changes import (
    EVERYTHING,
    NOTHING,
    Change,
    Contents,
    at_once,
    is_basis,
)
from orchestration.warehouse.publish.cluster import Cluster, ClusterReport, audited_snapshots, shown
from orchestration.warehouse.publish.former import former_publication
from orchestration.warehouse.publish.tables import PublicationError, Table, describe
from orchestration.warehouse.sql import literal
from orchestration.warehouse.standing import NOTHING_STANDS, Standing

if TYPE_CHECKING:
    import duckdb

    from ingestion.raw.store import ObjectStore
    from orchestration.warehouse.audit.gx import Judge

PUBLICATION: Final = Right(
    what="the publication to {}",
    place=parquet.SERVING,
    leases=f"{parquet.SERVING}/leases",
    lock="publication.lock",
    consequence="nothing was switched and the former publication stands",
    taken_over=PublicationError,
)


@dataclass(frozen=True)
class Publication:
    """What was published.

    `rows` per table, the days covered (None when there is no bar at all), the markets, the `version` of the Parquet
    files, how many ranks a corrected file changed (`revised_ranks`), and what PostgreSQL, the lake and
    the catalog of the cluster hold, None without one.
    `notices`: what was found damaged, and what that means for the history. `contents`: of the DuckDB file, so far as
    they are known.
    """

    rows: Mapping[str, int]
    first_day: date | None
    last_day: date | None
    markets: tuple[str, ...]
    version: str
    revised_ranks: int
    postgres: postgres.PostgresReport | None
    lake: lake.LakeReport | None = None
    cluster: ClusterReport | None = None
    notices: tuple[str, ...] = ()
    contents: Contents = field(default_factory=Contents)


def publish(
    warehouse: Warehouse,
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
    team: TeamLake | None = None,
    cluster: Cluster | None = None,
    still_alone: Callable[[], None] = lambda: None,
    scratch: Path | None = None,
    memory_limit: str = "1024MiB",
    lock_wait: float = DEFAULT_WAIT_SECONDS,
    report: Report = lambda text: None,
    judge: Judge | None = None,
    standing: Standing = NOTHING_STANDS,
) -> Publication:
    """Publish the marts of `warehouse` to the file `serving`, as Parquet on `store`, and to PostgreSQL, the lake of
    the `team` and the catalog of the `cluster` where there is one.

    `keys`: key columns by mart. Readers that hold the former file, version or transaction keep it; new ones get the new
    publication. When anything fails before the switch, the former publication is untouched on every target.

    The caller alone builds and publishes from this state folder, and to the lake as long as `still_alone`, which is
    called before the switch, raises nothing. Of those that publish to the same `store`, one waits for the other at most
    `lock_wait` seconds (Busy), and gives `report` the sentences. `scratch`: where files are put together, and DuckDB
    writes what exceeds `memory_limit`. `judge`: of the history of ranks; this process by default. `standing`: what the
    audit found to stand; nothing by default, and everything is read.

    Longer than 50 lines: what is prepared and what is switched are one block, in the order in which it must end.
    """
    keys = {**(keys or {}), **revisions.KEYS}
    serving.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="taker-publish-", dir=scratch) as name,
        alone_on(store, PUBLICATION, wait=lock_wait, report=report, run_id=run_id) as refuse_unless_alone,
    ):
        folder = Path(name)
        former, notices, contents = former_publication(serving, store, folder)
        marts_with_keys = {mart: keys.get(mart, ()) for mart in marts}
        fill = partial(
            _copy,
            warehouse=warehouse,
            marts=marts_with_keys,
            former=former,
            contents=contents,
            standing=standing,
            run_id=run_id,
            now=now,
            judge=judge,
        )
        with _filled(serving, former, fill, memory_limit, folder / "spill") as (staged, out, copied):
            first, last, markets = span = database.span_of(out, marts)
            exported = [describe(out, mart, keys.get(mart, ())) for mart in (*marts, *revisions.TABLES)]
            with at_once(out):
                database.write_publication(out, span, run_id=run_id, settings=settings, audit=audit, now=now)
                database.write_tables(out, exported)
            files = _files(out, store, exported, copied, folder)
            manifest = parquet.manifest(files, span, run_id=run_id, settings=settings, audit=audit, now=now)
            parquet.store_version(store, files, manifest)
            described = [*exported, *_about(out)]
            with _loaded(postgres_url, out, described, copied, folder) as loaded:
                out.execute("checkpoint")  # closing the file would not report that it failed
                out.close()
                lay = partial(lake.laid, spill=folder / "spill", run_id=run_id, memory_limit=memory_limit)
                state = partial(
                    shown, tables=exported, span=span, run_id=run_id, settings=settings, audit=audit, now=now
                )
                with (
                    _laid(team, lay, staged, described, copied) as laid,
                    _shown(cluster, state, warehouse) as on_cluster,
                ):
                    refuse_unless_alone()
                    still_alone()
                    _refuse_full_disk(store, files)
                    _switch(staged, serving, store, files, manifest)
            parquet.prune(store)
            notices = [*notices, *_tidied(team, now, memory_limit)]
    rows = {table.name: table.rows for table in exported}
    version = manifest["version"]
    return Publication(
        rows, first, last, tuple(markets), version, copied.revised, loaded, laid, on_cluster, tuple(notices), contents
    )


@dataclass(frozen=True)
class _Copied:
    """What the staged file got: what changed in each table since the publication `since`, and the revised ranks."""

    since: tuple[datetime, str] | None
    changes: Mapping[str, Change]
    revised: int


def _copy(
    out: duckdb.DuckDBPyConnection,
    *,
    warehouse: Warehouse,
    marts: Mapping[str, Sequence[str]],
    former: Path | None,
    contents: Contents,
    standing: Standing,
    run_id: str,
    now: datetime,
    judge: Judge | None,
) -> _Copied:
    """Bring the staged file to the marts and the history of their ranks.

    `marts`: the key columns of each. `contents`: of the file that it is a copy of, and afterwards its own. `standing`:
    as `publish` gets it.
    """
    since, former_keys = database.published(out), database.former_keys(out)
    warehouse.attach(out)
    with at_once(out):
        database.drop_others(out, {*marts, *revisions.TABLES})
        before = standing.of(since)
        changes = {
            mart: database.copy_mart(out, mart, key, former_keys.get(mart), contents, before.get(mart))
            for mart, key in marts.items()
        }
    carried = revisions.carry_revisions(
        out,
        former,
        published_at=now,
        run_id=run_id,
        former_keys=former_keys,
        ranks=changes.get(revisions.RANKS, EVERYTHING),
        contents=contents,
    )
    out.execute("detach warehouse")
    revisions.refuse_broken(out, judge)
    out.execute("checkpoint")  # a page that cannot be carried over is found here, and not when the file is closed
    return _Copied(since, {**changes, **carried.changes}, carried.revised)


def _files(
    out: duckdb.DuckDBPyConnection,
    store: ObjectStore,
    tables: Sequence[Table],
    copied: _Copied,
    folder: Path,
) -> list[parquet.ParquetFile]:
    """The Parquet file of each table: the former version's for one that has not changed, and what has not of others."""
    former = parquet.FormerVersion.of(store, copied.since)

    def file_of(table: Table) -> parquet.ParquetFile:
        change = copied.changes[table.name]
        with out.cursor() as own:
            if change == NOTHING:
                return former.file_of(table) or parquet.export(own, table, folder)
            return parquet.export(own, table, folder, change, former.path_of(table) if change != EVERYTHING else None)

    # One file at a time would leave cores idle: hashing, and a table of few rows, take one.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(file_of, tables))


def _loaded(
    url: str | None, out: duckdb.DuckDBPyConnection, tables: Sequence[Table], copied: _Copied, scratch: Path
) -> contextlib.AbstractContextManager[postgres.PostgresReport | None]:
    """A block around which PostgreSQL holds all tables, uncommitted until the block ends; nothing without a URL."""
    if not url:
        return contextlib.nullcontext()
    return postgres.replaced(url, out, tables, scratch, copied.since, copied.changes)


def _about(out: duckdb.DuckDBPyConnection) -> list[Table]:
    """The two tables that describe the publication."""
    return [describe(out, database.PUBLICATION), describe(out, database.PUBLICATION_TABLES, ("table_name",))]


def _laid(
    team: TeamLake | None,
    lay: Callable[..., contextlib.AbstractContextManager[lake.LakeReport]],
    staged: Path,
    tables: Sequence[Table],
    copied: _Copied,
) -> contextlib.AbstractContextManager[lake.LakeReport | None]:
    """A block around which the lake holds all tables of the staged file, uncommitted until the block ends."""
    if team is None:
        return contextlib.nullcontext()
    return lay(team.published, staged, tables, since=copied.since, changes=copied.changes)


def _shown(
    cluster: Cluster | None,
    state: Callable[..., contextlib.AbstractContextManager[ClusterReport]],
    warehouse: Warehouse,
) -> contextlib.AbstractContextManager[ClusterReport | None]:
    """A block after which readers on the cluster have the tables that were copied into the warehouse."""
    if cluster is None:
        return contextlib.nullcontext()
    with opened(warehouse) as connection:
        snapshots = audited_snapshots(connection)
    return state(cluster, snapshots=snapshots)


def _tidied(team: TeamLake | None, now: datetime, memory_limit: str) -> list[str]:
    """A sentence where the former snapshots of the lake could not be ended: the publication stands all the same."""
    import duckdb

    if team is None:
        return []
    try:
        tidy(team, now, memory_limit=memory_limit)
    except (duckdb.Error, LakeUnusable) as error:
        reason = without_password(" ".join(str(error).split()), team.published.config)
        return [f"former snapshots of the lake stay until the next publication: {reason}"]
    return []


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
    """Send readers to the new publication. The caller's blocks end with the commits of the lake and of PostgreSQL."""
    parquet.make_latest(store, files, manifest)
    os.replace(staged, serving)


@contextlib.contextmanager
def _filled(
    serving: Path,
    former: Path | None,
    fill: Callable[[duckdb.DuckDBPyConnection], _Copied],
    memory_limit: str,
    spill: Path,
) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection, _Copied]]:
    """The staged file, a connection to it, and what `fill` did there; what is left of the file is removed in the end.

    The file begins as a copy of the former publication, or empty where that is no basis.
    """
    import duckdb

    staged = staged_for(serving)
    with contextlib.ExitStack() as stack:
        stack.callback(remove, staged)
        remove(staged)
        if former == serving:
            _copy_basis(serving, staged)
        out = stack.enter_context(_open(staged, memory_limit, spill))
        try:
            copied = fill(out)
        except duckdb.Error:  # of a damaged copy; any other comes again
            if former != serving:
                raise
            with contextlib.suppress(duckdb.Error):
                out.close()
            remove(staged)
            out = stack.enter_context(_open(staged, memory_limit, spill))
            copied = fill(out)
        yield staged, out, copied


def _open(staged: Path, memory_limit: str, spill: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the staged file, in UTC."""
    import duckdb

    out = duckdb.connect(str(staged))
    out.execute("set global timezone = 'UTC'")  # also of the cursors that write files
    out.execute(f"set memory_limit = {literal(memory_limit)}")
    out.execute(f"set temp_directory = {literal(str(spill))}")
    return out


def _copy_basis(serving: Path, staged: Path) -> None:
    """Copy the former file to `staged`, unless it is no basis for the new one."""
    import duckdb

    shutil.copyfile(serving, staged)
    try:
        with duckdb.connect(str(staged)) as out:
            usable = is_basis(out)
    except duckdb.Error:
        usable = False
    if not usable:
        remove(staged)
