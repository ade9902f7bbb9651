"""Failures that are expected, through the public command in a process of its own: an exit code and a few good lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support.archives import ArchiveFolder
from tests.support.commands import Taker

MARKET = "binance_um:BTCUSDT"
FIRST, LAST = date(2025, 9, 1), date(2025, 9, 6)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]

pytestmark = pytest.mark.xdist_group("expected_failures")


@pytest.fixture
def taker(tmp_path: Path, archive_folder: ArchiveFolder) -> Taker:
    """An archive of six days of klines, and nothing ingested yet."""
    for day in DAYS:
        archive_folder.klines_of_day(day)
    return Taker(
        tmp_path / "var",
        {"TAKER_ARCHIVE_URL": archive_folder.url, "TAKER_KLINE_INTERVAL": "4h", "TAKER_MARKETS": MARKET},
    )


def run(taker: Taker, *extra: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return taker.run("run", "--from", str(FIRST), "--to", str(LAST), *extra, **settings)


@contextmanager
def held_open(database: Path) -> Iterator[int]:
    """The database, open for writing in another program; its process id."""
    program = (
        f"import duckdb, sys; held = duckdb.connect({str(database)!r}); print(); sys.stdout.flush(); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            yield other.pid
        finally:
            other.communicate()


def test_a_locked_warehouse_is_one_line_that_names_the_file_the_holder_and_what_to_do(taker: Taker) -> None:
    warehouse = taker.storage / "warehouse.duckdb"
    warehouse.parent.mkdir()
    with held_open(warehouse) as pid:
        done = run(taker, "-q")
    assert done.returncode == 1
    failed, error = done.stderr.splitlines()
    assert f"{warehouse} is locked" in failed
    assert f"(PID {pid})" in failed
    assert "close that program, then run the same command again" in failed
    assert error == "error: the marts were not published, nothing is published yet; the reasons are above"
    assert done.stdout == ""
