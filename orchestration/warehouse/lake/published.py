"""What the lake has published: as it is now, or as it was at a former time.

Belongs here: attaching it for reading, and the errors where nothing was published yet or the history does not reach
back that far. Does not: what is queried (`orchestration.serving`), for how long former publications stay (`expiry`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestration.config.marts import LakeMarts, NoHistory
from orchestration.warehouse.extensions import install_extensions
from orchestration.warehouse.lake.catalog import PUBLISHED, Lake, NoLake, lake_of, place_of
from orchestration.warehouse.lake.expiry import PUBLICATION
from orchestration.warehouse.place import SCHEMA
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

# The database under which the published tables are attached.
_NAME: Final = "marts"


class NoPublication(Exception):
    """The lake has published nothing yet. The text names the lake."""


def lake_read(marts: LakeMarts) -> Lake:
    """The lake that is read."""
    return lake_of(marts.dbt, PUBLISHED)


def described(marts: LakeMarts) -> str:
    """What is read, in words, without the password."""
    where = f"the lake at {place_of(lake_read(marts).config)}"
    return f"in {where}" if marts.at is None else f"as of {_written(marts.at)} in {where}"


def attach(marts: LakeMarts, connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make the tables readable as the schema `main` of the database `name`.

    NoPublication; NoHistory for a time before the history begins; WarehouseUnusable where the lake cannot be used.
    """
    install_extensions(marts.dbt)
    lake = lake_read(marts)
    try:
        lake.attach(connection, name)
    except NoLake:
        first = None
    else:
        first = _first(connection, name)
    if first is None:
        raise NoPublication(f"nothing is published in the lake at {place_of(lake.config)}")
    if marts.at is None:
        return
    if marts.at < first:
        raise NoHistory(
            f"no publication of {_written(marts.at)} is in the lake at {place_of(lake.config)}: the first known is of "
            f"{_written(first)}. TAKER_LAKE_HISTORY_DAYS states for how long former ones stay"
        )
    connection.execute(f"detach {identifier(name)}")
    lake.attach(connection, name, at=marts.at)


def opening(marts: LakeMarts, name: str) -> list[str]:
    """The statements that attach it in any DuckDB of this version, read-only, with the password in one of them."""
    install_extensions(marts.dbt)
    return lake_read(marts).attaching(name, at=marts.at)


def enter(marts: LakeMarts, connection: duckdb.DuckDBPyConnection) -> None:
    """The same, and names are looked up there from now on."""
    attach(marts, connection, _NAME)
    connection.execute(f"use {identifier(_NAME)}.{SCHEMA}")


def _first(connection: duckdb.DuckDBPyConnection, name: str) -> datetime | None:
    """When the oldest publication was made that is still there; None before the first one."""
    found = connection.execute(
        "select cast(epoch_us(min(snapshot_time)) as bigint) "
        f"from ducklake_snapshots({literal(name)}) where commit_message = ?",
        [PUBLICATION],
    ).fetchone()
    if found is None or found[0] is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=found[0])


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
