"""What assets need from outside: the venues' archives and APIs, the raw zone, the warehouse.

Belongs here: configuration, and opening for the length of a `with`. A resource never holds a connection.
Does not: decisions. Plain objects rather than ConfigurableResource: their secrets must not show in the UI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.dbt import DbtConfig
from orchestration.config.endpoints import Endpoints
from orchestration.config.storage import Storage

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from ingestion.http.fetch import Archives
    from ingestion.raw.store import ObjectStore
    from ingestion.raw.zone import RawZone
    from ingestion.recent import Access


# What messages of `ingestion` advise, which knows no names of settings.
_REFUSED_ADVICE: Final = "set TAKER_REST=off to do without today, or TAKER_VENUE_URLS to an address that you may read"


@dataclass(frozen=True)
class ArchiveResource:
    """The venues' archives, or mirrors of them."""

    endpoints: Endpoints

    @contextmanager
    def open(self) -> Iterator[Archives]:
        from ingestion.http.fetch import Archives

        archives = Archives(self.endpoints.archive_location_of)
        try:
            yield archives
        finally:
            archives.close()


@dataclass(frozen=True)
class ApiResource:
    """The REST APIs of the configured markets' venues, and of others on demand, as far as TAKER_REST allows.

    `bans`: the file that records which venues have banned or rate limited this address.
    """

    endpoints: Endpoints
    bans: Path

    @contextmanager
    def open(self, received: Sequence[str] = ()) -> Iterator[dict[str, Access]]:
        """By venue, one client each, which counts the request weight of a run. `received`: venues to add."""
        from ingestion.http.limits import BanRegistry
        from ingestion.http.rest import RestClient
        from ingestion.recent import Access
        from ingestion.venues import venue_of

        bans = BanRegistry(self.bans)
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
        from ingestion.raw.store import open_store

        return open_store(self.storage.url, self.storage.s3_options(), setting="TAKER_STORAGE_URL")

    def raw_zone(self) -> RawZone:
        from ingestion.raw.zone import RawZone

        return RawZone(self.store())


@dataclass(frozen=True)
class WarehouseResource:
    """The DuckDB file that dbt writes, opened read-only and briefly: an open reader would keep dbt out."""

    dbt: DbtConfig

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection, in UTC. Views may reach into the raw zone, so S3 is set up as it is for dbt."""
        with self._connected(str(self.dbt.paths.warehouse), read_only=True) as connection:
            yield connection

    @contextmanager
    def open_raw(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to nothing, in UTC, that can read the files of the raw zone."""
        with self._connected(":memory:", read_only=False) as connection:
            yield connection

    @contextmanager
    def _connected(self, database: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        from orchestration.warehouse.dbt import connection_options, install_extensions

        install_extensions(self.dbt)
        options = connection_options(self.dbt)
        storage = self.dbt.storage
        with duckdb.connect(database, read_only=read_only, config=options) as connection:
            connection.execute("set timezone = 'UTC'")
            if storage.is_s3:
                connection.execute("load httpfs")
                connection.execute(_create_secret(storage.duckdb_secret(storage.dbt_environment())))
            yield connection

    def read(self, query: str) -> pd.DataFrame:
        """The result of one query."""
        with self.open() as connection:
            return connection.execute(query).df()


def _create_secret(secret: Mapping[str, Any]) -> str:
    from orchestration.warehouse.sql import literal

    options = [f"{name} {literal(str(value))}" for name, value in secret.items() if name != "name"]
    return f"create or replace secret {secret['name']} ({', '.join(options)})"
