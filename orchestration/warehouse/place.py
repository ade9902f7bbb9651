"""Where the tables of a build are, whatever engine built them: how the audit, the publication and the next build read
them.

Belongs here: the one way to open them. Does not: which place a target has (`orchestration.warehouse.engines`), or what
is read there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import duckdb

# The database under which the tables are attached, and their schema: those that the views of dbt name.
NAME: Final = "warehouse"
SCHEMA: Final = "main"


class Warehouse(Protocol):
    """The tables of a build: a DuckDB file, or a lake."""

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the tables readable as the database `warehouse`; duckdb.Error, or WarehouseUnusable."""


@contextmanager
def opened(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in UTC, briefly, in which the tables are found by their names."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        enter(warehouse, connection)
        yield connection


def enter(warehouse: Warehouse, connection: duckdb.DuckDBPyConnection) -> None:
    """Attach the tables and make their schema the one in which names are looked up."""
    warehouse.attach(connection)
    connection.execute(f"use {NAME}.{SCHEMA}")
