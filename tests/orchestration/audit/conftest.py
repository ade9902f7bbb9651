"""Marts to audit: good ones, and a copy that a test may corrupt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

GOOD_MARTS = Path(__file__).with_name("good_marts.sql")


@pytest.fixture(scope="session")
def good_marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(GOOD_MARTS.read_text())
        yield connection


@pytest.fixture
def marts(good_marts: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The good marts, to be corrupted: whatever a test does to them is undone."""
    good_marts.execute("begin transaction")
    yield good_marts
    good_marts.execute("rollback")
