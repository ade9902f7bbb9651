"""Files that are replaced atomically, and what is swept of writers that were killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.raw import notes
from ingestion.raw.durable import atomic_write, boot, sweep
from ingestion.raw.notes import Noting
from ingestion.raw.store import LocalStore
from ingestion.raw.zone import RawZone

_WRITER = """
import sys, time
from pathlib import Path
from ingestion.raw.durable import atomic_write
with atomic_write(Path(sys.argv[1])) as staged:
    staged.write_text("half")
    print(staged, flush=True)
    time.sleep(600)
"""


def half_written(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that is writing the file, and where it writes to."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    return writer, Path(writer.stdout.readline().strip())


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    folder = tmp_path / "raw/aggTrades/venue=binance_um/symbol=BTCUSDT/date=2024-08-08"
    folder.mkdir(parents=True)
    Noting(LocalStore(tmp_path)).before(str(folder.relative_to(tmp_path)))
    dead, left = half_written(folder / "data.parquet")
    living, being_written = half_written(folder / "_receipt.json")
    try:
        dead.kill()
        dead.wait(30)
        RawZone(LocalStore(tmp_path)).sweep()
        assert (left.exists(), being_written.exists()) == (False, True)
        with atomic_write(folder / "own") as staged:
            assert sweep(tmp_path) == []
            staged.write_text("content")
        assert (folder / "own").read_text() == "content"
    finally:
        living.kill()
        living.wait(30)
    assert sweep(folder, deeply=False) == [being_written]
    assert [path.name for path in folder.iterdir()] == ["own"]


def test_what_was_left_where_a_writer_was_noted_is_swept_before_the_note_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever process brings the index up to date, and whether or not it has swept before."""
    folder = "raw/aggTrades/venue=binance_um/symbol=BTCUSDT/date={}"
    left = []
    store = LocalStore(tmp_path)
    for day in ("2024-08-08", "2024-09-09"):
        path = tmp_path / folder.format(day)
        path.mkdir(parents=True)
        left.append(path / f".data.parquet.{boot()}-{'0' * 32}.part")
        left[-1].write_text("half")
    Noting(store).before(folder.format("2024-08-08"))
    later = notes.utc_now() + notes.KEPT + timedelta(minutes=1)
    monkeypatch.setattr(notes, "utc_now", lambda: later)
    RawZone(store).write_index()
    assert (notes.noted(store), [path.exists() for path in left]) == ({}, [False, True])
    RawZone(store).write_index(rehashes=True)
    assert not left[1].exists()


def test_a_file_of_another_boot_is_swept_when_it_is_an_hour_old(tmp_path: Path) -> None:
    elsewhere = tmp_path / f".data.parquet.aaaabbbbcccc-{'0' * 32}.part"
    elsewhere.write_text("half")
    assert sweep(tmp_path) == []
    lapsed = time.time() - 3700
    os.utime(elsewhere, (lapsed, lapsed))
    assert sweep(tmp_path) == [elsewhere]


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    swept: list[Path] = []

    def after_a_sweep(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.glob(".*.part"))
            swept[0].unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_sweep)
    with atomic_write(tmp_path / "file") as staged:
        assert staged.exists()
        staged.write_text("content")
    assert len(swept) == 1
    assert (tmp_path / "file").read_text() == "content"


def test_a_writer_that_opens_its_file_while_it_is_swept_makes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep removes it before it gives up the lock: the writer, which gets it next, sees that it is gone."""
    left = tmp_path / f".file.{boot()}-{'0' * 32}.part"
    left.write_text("half")
    real, locked_at_the_end = os.unlink, []

    def unlinking(path: Path, **options: Any) -> None:
        writer = os.open(path, os.O_RDWR)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked_at_the_end.append(path)
        os.close(writer)
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlinking)
    assert sweep(tmp_path) == [left]
    assert (left.exists(), locked_at_the_end) == (False, [])
