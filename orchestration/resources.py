"""What assets need from outside: the venues' archives and APIs, the raw zone, the warehouse.

Belongs here: configuration, and opening for the length of a `with`. A resource never holds a connection.
Does not: decisions. Plain objects rather than ConfigurableResource: their secrets must not show in the UI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.dbt import DbtConfig
from orchestration.config.endpoints import Endpoints
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.progress import Progress
from orchestration.state.healing import heal, json_fault
from orchestration.state.locks import Alone, Workplace
from orchestration.state.process import named, scratch

if TYPE_CHECKING:
    import dagster as dg
    import duckdb

    from ingestion.http.archives import Archives
    from ingestion.http.retry import ServerHealth
    from ingestion.raw.store import ObjectStore
    from ingestion.raw.zone import RawZone
    from ingestion.recent import Access

# What messages of `ingestion` advise, which knows no names of settings.
_REFUSED_ADVICE: Final = "set TAKER_REST=off to do without today, or TAKER_VENUE_URLS to an address that you may read"


# What every step requires, by this or as its parameter `workplace`, also one with nothing to lock: so the run states
# which process executes it (`orchestration.automation.abandoned_runs`).
NAMES_THE_PROCESS: Final = frozenset({"workplace"})


def workplace_resource(paths: Paths, lock_wait: float, beyond: Alone | None = None) -> dg.ResourceDefinition:
    """The `Workplace` of a run: made before its first step, closed after its last.

    Every job executes in one process, which makes a resource once: a lock that a step takes is held until the run ends.
    Runs that Dagster started are tagged with their process, which shows whether they are alive.
    """
    import dagster as dg

    @dg.resource(description="The locks and the scratch space of the state folder, for the length of a run.")
    def workplace(context: dg.InitResourceContext) -> Iterator[Workplace]:
        instance, run_id = context.instance, context.run_id
        run = instance.get_run_by_id(run_id) if instance is not None and run_id is not None else None
        if instance is not None and run is not None:
            if run.is_finished:  # so slow to begin that it was taken for dead
                raise dg.Failure(f"run {run.run_id} was ended before it began; start it again", allow_retries=False)
            instance.add_run_tags(run.run_id, named(paths))
        made = Workplace(paths, lock_wait, beyond)
        try:
            yield made
        finally:
            made.close()

    return workplace


def waiting(progress: Progress, context: Any) -> Callable[[str], None]:
    """Where a step states for whom it waits: the terminal of `taker run`, and the log of the run."""

    def report(text: str) -> None:
        context.log.warning(text)
        progress.waiting(text)

    return report


@dataclass(frozen=True)
class ArchiveResource:
    """The venues' archives, or mirrors of them.

    `health`: what a run has learned of their servers, by address: a server that is down is found out once, and not by
    every dataset again.
    """

    endpoints: Endpoints
    health: dict[str, ServerHealth] = field(default_factory=dict, compare=False)

    @contextmanager
    def open(self) -> Iterator[Archives]:
        from ingestion.http.archives import Archives

        archives = Archives(self.endpoints.archive_location_of, self.health)
        try:
            yield archives
        finally:
            archives.close()


_BANS_LOST: Final = "a venue that has banned this address is queried again, and its answer is recorded anew"


@dataclass(frozen=True)
class ApiResource:
    """The REST APIs of the configured markets' venues, and of others on demand, as far as TAKER_REST allows.

    `bans`: the file that records which venues have banned or rate limited this address.
    """

    endpoints: Endpoints
    bans: Path

    @contextmanager
    def open(
        self, received: Sequence[str] = (), report: Callable[[str], None] = lambda text: None
    ) -> Iterator[dict[str, Access]]:
        """By venue, one client each, which counts the request weight of a run. `received`: venues to add.

        `report` gets a sentence if the record of bans was damaged.
        """
        from ingestion.http.limits import BanRegistry
        from ingestion.http.rest import RestClient
        from ingestion.raw.durable import atomic_write
        from ingestion.recent import Access
        from ingestion.venues import venue_of

        if (healed := heal(self.bans, json_fault, _BANS_LOST)) is not None:
            report(healed)
        bans = BanRegistry(self.bans, atomic_write)
        opened: dict[str, Access] = {}
        clients: list[RestClient] = []
        for venue, url in self.endpoints.rest_urls_with(received).items():
            api = venue_of(venue).api
            assert api is not None, venue
            clients.append(
                RestClient(
                    venue, url, api, bans=bans, refused_advice=_REFUSED_ADVICE, symbol_advice="check TAKER_MARKETS"
                )
            )
            opened[venue] = Access(api, clients[-1])
        try:
            yield opened
        finally:
            for client in clients:
                client.close()


@dataclass(frozen=True)
class StorageResource:
    """The object store that holds the raw zone and the published Parquet files."""

    storage: Storage

    def store(self) -> ObjectStore:
        from ingestion.raw.stores import open_store

        return open_store(self.storage.url, self.storage.s3_options(), setting="TAKER_STORAGE_URL")

    def raw_zone(self) -> RawZone:
        from ingestion.raw.zone import RawZone

        return RawZone(self.store(), only_noted=self.storage.only_noted)


@dataclass(frozen=True)
class WarehouseResource:
    """The tables that dbt writes, opened read-only and briefly: an open reader of a file would keep dbt out."""

    dbt: DbtConfig

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in which they are found by their names, in UTC. Views may reach into the raw zone, so S3 is set
        up as it is for dbt."""
        from orchestration.warehouse.engines import warehouse_of
        from orchestration.warehouse.place import enter

        with self.open_raw() as connection:
            enter(warehouse_of(self.dbt), connection)
            yield connection

    @contextmanager
    def open_raw(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to nothing, in UTC, that can read the files of the raw zone."""
        import duckdb

        from orchestration.warehouse.extensions import connection_options, install_extensions
        from orchestration.warehouse.s3_reads import reach_bucket
        from orchestration.warehouse.sql import literal

        install_extensions(self.dbt)
        options = connection_options(self.dbt)
        # A folder of its own to spill to: two processes in one overwrite each other's blocks.
        with scratch(self.dbt.paths) as spill, duckdb.connect(config=options) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"set memory_limit = '{self.dbt.memory_limit}'")
            connection.execute(f"set temp_directory = {literal(str(spill))}")
            reach_bucket(connection, self.dbt.storage)
            yield connection
