"""Promise 7, the full disk under whole runs: `taker run` on a small tmpfs that fills in each stage; then there is room.

The sizes are cut from what an undisturbed run needs, so that the disk fills in ingestion, in dbt's build and in the
publication.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ingestion.raw.store import LocalStore
from ingestion.simulator.simulated import simulate
from tests.support.commands import Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.histories import parquet_of, untrue_receipts
from tests.support.killing import assert_one_publication
from tests.support.small_disk import SmallDisk, small_disk

FIRST, LAST = date(2026, 2, 20), date(2026, 3, 10)
_RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("archive")
    simulate(archive / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    return archive / "archive"


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    taker = a_taker(tmp_path_factory.mktemp("undisturbed"), archive)
    assert taker.run(*_RUN).returncode == 0
    return taker


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "300m") as disk:
        yield disk


def a_taker(storage: Path, archive: Path) -> Taker:
    return Taker(storage, {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT"})


# Bytes that are left when the run starts: nothing; enough for Dagster and a part of the raw zone; for the raw zone and
# a part of the warehouse; for the warehouse and a part of the publication.
@pytest.mark.parametrize("free", [0, 2_000_000, 8_000_000, 20_000_000, 35_000_000])
def test_a_full_disk_is_reported_and_the_next_run_heals(
    disk: SmallDisk, archive: Path, undisturbed: Taker, free: int
) -> None:
    taker = a_taker(disk.folder / "var", archive)
    disk.fill(but=free)
    full = taker.run(*_RUN)
    print(f"{free:,} bytes free: exit {full.returncode}; {last_sentences(full)}")
    if taker.marts.exists():
        assert_one_publication(taker.marts, taker.storage)
    disk.make_room()
    healed = taker.run(*_RUN)
    assert healed.returncode == 0, healed.stderr
    assert parquet_of(LocalStore(taker.storage)) == parquet_of(LocalStore(undisturbed.storage))
    assert untrue_receipts(LocalStore(taker.storage)) == []
    assert differences(fingerprints(undisturbed.marts), fingerprints(taker.marts)) == []
    assert_one_publication(taker.marts, taker.storage)
    assert full.returncode != 0
    assert "Traceback" not in full.stderr
    assert "No space left" in full.stderr or "full" in full.stderr


def last_sentences(done: subprocess.CompletedProcess[str]) -> str:
    return " | ".join(done.stderr.strip().splitlines()[-3:])[-600:]
