"""A lake of the tests' own: a catalog in a database of a running PostgreSQL, files in a folder or a bucket.

Belongs here: making its settings, fixtures of it, and looking at it as readers and operators do. Does not:
expectations.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from pydantic import SecretStr

from orchestration.config.dbt import LAKE, DbtConfig
from orchestration.config.lake import LakeConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.warehouse.engines import team_lake
from orchestration.warehouse.extensions import extensions_folder, install_extensions
from orchestration.warehouse.lake.catalog import Lake, TeamLake
from tests.support.postgres import PostgresServer
from tests.support.publications import Publisher


def new_catalog(postgres_server: PostgresServer) -> str:
    """The address of a new, empty database."""
    name = f"lake_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return postgres_server.url(name)


def lake_config(url: str, state: Path, storage: Storage | None = None, history_days: int = 7) -> DbtConfig:
    """Settings of the target `lake` whose catalog is at `url`; without `storage` its files lie in `state`."""
    where = storage or Storage(str(state))
    lake = LakeConfig(SecretStr(url), f"{where.url}/lake", history_days)
    return DbtConfig(Paths(state), where, LAKE, "aggTrades", ("1h",), lake=lake)


def opened_lakes(config: DbtConfig) -> TeamLake:
    """The lakes of these settings, with the extensions where they are looked for: copied once for all tests."""
    folder = extensions_folder(config)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(_extensions(config.storage))
    lakes = team_lake(config)
    assert lakes is not None
    return lakes


@cache
def _extensions(storage: Storage) -> Path:
    """75 MB, in a folder that is gone when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="taker-extensions-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shared = DbtConfig(Paths(folder), storage, LAKE, "aggTrades", ("1h",))
    install_extensions(shared)
    return extensions_folder(shared)


@dataclass(frozen=True)
class Look:
    """A lake as it is now."""

    lake: Lake

    @contextlib.contextmanager
    def reading(self, at: datetime | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A reader, as a BI tool is one."""
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            self.lake.attach(connection, at=at)
            connection.execute("use warehouse.main")
            yield connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Of now: each query is a transaction of its own."""
        return _used(self._reader.cursor()).execute(sql).fetchall()

    @cached_property
    def _reader(self) -> duckdb.DuckDBPyConnection:
        """To load the extensions and to attach a lake takes a third of a second."""
        connection = duckdb.connect()
        connection.execute("set timezone = 'UTC'")
        self.lake.attach(connection)
        return connection

    def snapshots(self) -> list[tuple[Any, ...]]:
        """The number and the message of each."""
        return self.query("select snapshot_id, commit_message from ducklake_snapshots('warehouse') order by all")

    def needed(self) -> list[str]:
        """Names of the files that some snapshot needs, as the catalog has them."""
        with psycopg.connect(self.lake.config.catalog_url.get_secret_value()) as catalog:
            rows = catalog.execute(
                f"select path from {self.lake.schema}.ducklake_data_file "
                f"union all select path from {self.lake.schema}.ducklake_delete_file".encode()
            ).fetchall()
        return sorted(Path(path).name for (path,) in rows)

    def copied(self, target: Path) -> Path:
        """The lake's tables as a DuckDB file, like the published one."""
        with self.reading() as connection:
            connection.execute(f"attach '{target}' as copied")
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where database_name = 'warehouse'"
            ).fetchall():
                connection.execute(f'create table copied.main."{name}" as from warehouse.main."{name}"')
        return target


def _used(cursor: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Looking names up in the lake."""
    cursor.execute("use warehouse.main")
    return cursor


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.parquet"))


@pytest.fixture
def config(postgres_server: PostgresServer, tmp_path: Path) -> DbtConfig:
    return lake_config(new_catalog(postgres_server), tmp_path)


@pytest.fixture
def team(config: DbtConfig) -> TeamLake:
    return opened_lakes(config)


@pytest.fixture
def publisher(tmp_path: Path, team: TeamLake) -> Publisher:
    return replace(Publisher.on(tmp_path), team=team)


@pytest.fixture
def published(team: TeamLake) -> Look:
    return Look(team.published)
