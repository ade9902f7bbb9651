"""A DuckLake for DuckDB: its catalog in PostgreSQL, its Parquet files in a folder or a bucket.

Belongs here: extensions, secrets and the ATTACH, and what its errors mean. Does not: whether the server answers at all
(`reach`), who may build (`lock`), what is read or written (`orchestration.warehouse.publish.lake`).

There are two lakes in one database. A snapshot is of a whole lake: were the published marts in the lake that dbt
builds, each publication of the last week would keep every intermediate table of its build too. So dbt's lake keeps one
state, and the published one its history.

The password is in a secret of DuckDB and never in the text of a statement: DuckDB quotes that in its errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.dbt import DbtConfig
from orchestration.config.lake import LakeConfig
from orchestration.config.storage import Storage
from orchestration.warehouse.extensions import LAKE_EXTENSIONS, extensions_folder
from orchestration.warehouse.opening import WarehouseUnusable
from orchestration.warehouse.place import NAME
from orchestration.warehouse.s3_reads import create_secret, reaching_bucket
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

# The schema in PostgreSQL of each lake's catalog, and the folder of its files below the data's.
BUILT: Final = ("taker_warehouse", "warehouse")
PUBLISHED: Final = ("taker_published", "published")
SECRET: Final = "taker_catalog"
# After that long without an answer the catalog's server counts as gone.
CONNECT_SECONDS: Final = 10
# dbt hides the values of variables with this prefix from its logs.
PASSWORD_VARIABLE: Final = "DBT_ENV_SECRET_LAKE_PASSWORD"
# libpq's name of what DuckDB's secret holds, and the secret's own.
_IN_SECRET: Final = {"host": "host", "port": "port", "dbname": "database", "user": "user", "password": "password"}

ELSEWHERE: Final = (
    "its files lie elsewhere than TAKER_STORAGE_URL states, which is the same for all who share a lake; set it to the "
    "former place, or TAKER_LAKE_CATALOG_URL to another database"
)


class LakeUnusable(WarehouseUnusable):
    """The lake cannot be opened. The text states why and what to do, without the password."""


class NoLake(LakeUnusable):
    """The lake has not been made yet."""


@dataclass(frozen=True)
class Lake:
    """One of the two lakes. `schema`: where its catalog is in the database of `config`; `folder`: where its files lie
    below the data's address. `extensions`: DuckDB's, as `install_extensions` puts them."""

    config: LakeConfig
    schema: str
    folder: str
    storage: Storage
    extensions: Path

    @property
    def data_url(self) -> str:
        """Where its Parquet files lie, with the slash that DuckLake keeps."""
        return f"{self.config.data_url}/{self.folder}/"

    def attach(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str = NAME,
        *,
        read_only: bool = True,
        at: datetime | None = None,
    ) -> None:
        """Attach it under this name, as it is now or was `at` that time; LakeUnusable.

        A lake that does not exist yet is made, unless `read_only` (NoLake).
        """
        import duckdb

        try:
            for statement in self.attaching(name, read_only=read_only, at=at):
                connection.execute(statement)
        except duckdb.Error as error:
            raise fault_of(self, error) from None

    def attaching(self, name: str, *, read_only: bool = True, at: datetime | None = None) -> list[str]:
        """The statements that attach it in any DuckDB of this version, with the catalog's password in one of them."""
        options = attach_options(self) | ({"read_only": True} if read_only else {})
        if at is not None:
            options["snapshot_time"] = at.isoformat()
        stated = ", ".join(f"{key} {_value(value)}" for key, value in options.items())
        return [
            *loading(self.storage, self.extensions),
            create_secret(catalog_secret(self.config)),
            f"attach {literal(attach_path(self.config))} as {identifier(name)} ({stated})",
        ]


@dataclass(frozen=True)
class TeamLake:
    """The two lakes of a team: what dbt builds, and what is published of it."""

    built: Lake
    published: Lake


def lake_of(config: DbtConfig, place: tuple[str, str]) -> Lake:
    """The lake of these settings at `BUILT` or `PUBLISHED`."""
    assert config.lake is not None, config.target
    return Lake(config.lake, *place, config.storage, extensions_folder(config))


def attach_path(config: LakeConfig) -> str:
    """What dbt and DuckDB attach: what the secret does not hold, such as `sslmode`, and how long a server that does
    not answer is waited for."""
    from psycopg.conninfo import make_conninfo

    rest = {key: value for key, value in parts_of(config).items() if key not in _IN_SECRET}
    rest = {"connect_timeout": CONNECT_SECONDS} | rest
    return f"ducklake:postgres:{make_conninfo('', **rest)}"


def attach_options(lake: Lake) -> dict[str, Any]:
    """The options of ATTACH that are the same for reading and writing.

    Rows are always written as Parquet, few as they may be: rows that DuckLake keeps in the catalog instead would have
    PostgreSQL's types.
    """
    return {
        "data_path": lake.data_url,
        "metadata_schema": lake.schema,
        "meta_secret": SECRET,
        "data_inlining_row_limit": 0,
    }


def catalog_secret(config: LakeConfig, password: str | None = None) -> dict[str, Any]:
    """The server, database, user and password as a secret of DuckDB. `password`: what is written in its place."""
    parts = parts_of(config)
    if password is not None and "password" in parts:
        parts["password"] = password
    held = {_IN_SECRET[key]: str(value) for key, value in parts.items() if key in _IN_SECRET}
    return {"type": "postgres", "name": SECRET, **held}


def parts_of(config: LakeConfig) -> dict[str, Any]:
    """What the catalog's address states, by libpq's names."""
    from psycopg.conninfo import conninfo_to_dict

    return dict(conninfo_to_dict(config.catalog_url.get_secret_value()))


def place_of(config: LakeConfig) -> str:
    """Where the catalog is, without user and password."""
    parts = parts_of(config)
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{parts.get('host') or 'the local socket'}{port}/{parts.get('dbname')}"


def loading(storage: Storage, extensions: Path) -> list[str]:
    """The statements that load what the lake needs, from our own folder, and state how the bucket is reached."""
    return [
        f"set extension_directory = {literal(str(extensions))}",
        "set autoinstall_known_extensions = false",
        *(f"load {name}" for name in LAKE_EXTENSIONS),
        *reaching_bucket(storage),
    ]


def fault_of(lake: Lake, error: Exception) -> LakeUnusable:
    """Why the lake cannot be opened, and what to do."""
    reason = without_password(" ".join(str(error).split()), lake.config)
    kind = LakeUnusable
    if "not match existing data path" in reason:
        reason = reason.partition(" You can override")[0]  # DuckDB's advice would give the lake a second place
        what = ELSEWHERE
    elif "does not exist" in reason and "Existing DuckLake" in reason:
        kind, what = NoLake, "there is no lake yet; `taker run` makes it"
    else:
        what = "check TAKER_LAKE_CATALOG_URL, the server and the storage, then run the same command again"
    return kind(f"the lake at {place_of(lake.config)}, schema {lake.schema}, cannot be opened ({reason}); {what}")


def without_password(text: str, config: LakeConfig) -> str:
    """The text without the password of the catalog, as it is and as an address writes it."""
    from urllib.parse import urlsplit

    for secret in (parts_of(config).get("password"), urlsplit(config.catalog_url.get_secret_value()).password):
        if secret:
            text = text.replace(str(secret), "***")
    return text


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return literal(value) if isinstance(value, str) else str(value)
