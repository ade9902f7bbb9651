"""A full disk is one sentence, whichever library notices it; scratch space never lies outside the state folder."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
import typer

from orchestration.cli.errors import reporting_errors
from orchestration.config.settings import load_settings
from orchestration.runs.instance import open_instance
from orchestration.state import disk
from orchestration.state.disk import full_disk_sentence, means_full_disk
from tests.support.publications import Publisher

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 16 MiB; skipped where none may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def by_a_file(place: Path) -> None:
    (place / "file").write_bytes(bytes(32 << 20))


def by_sqlite(place: Path) -> None:
    with contextlib.closing(sqlite3.connect(place / "file.db")) as connection:
        connection.execute("create table t (b blob)")
        connection.execute("insert into t values (zeroblob(32000000))")
        connection.commit()


def by_duckdb(place: Path) -> None:
    with duckdb.connect(str(place / "file.duckdb")) as connection:
        connection.execute("create table t as select random() as r from range(8000000)")


def by_dagster(place: Path) -> None:
    fill(place, but=100_000)
    with open_instance(place / "dagster") as instance:
        instance.get_runs()


def by_a_publication(place: Path) -> None:
    publisher = Publisher.on(place)
    publisher.build_days(3)
    fill(place, but=300_000)
    publisher.publish()


def fill(place: Path, *, but: int) -> None:
    """Leave so many bytes of the disk."""
    (place / "filler").write_bytes(bytes(max(0, shutil.disk_usage(place).free - but)))


@pytest.mark.parametrize("fault", [by_a_file, by_sqlite, by_duckdb, by_dagster, by_a_publication])
def test_a_full_disk_is_a_sentence_with_what_to_do(
    fault: Callable[[Path], None],
    small_disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("TAKER_STORAGE_URL", str(small_disk))
    with pytest.raises(typer.Exit), reporting_errors(False):
        fault(small_disk)
    stated = capsys.readouterr().err
    assert stated.startswith("error: not finished: the disk is full: ")
    assert f"{small_disk} has 0 MiB free" in stated
    assert "run the same command again" in stated
    assert len(stated.splitlines()) == 1


def test_a_failed_publication_for_want_of_space_leaves_the_former_one_and_heals(small_disk: Path) -> None:
    publisher = Publisher.on(small_disk)
    publisher.build_days(3)
    publisher.publish()
    publisher.build_days(4)
    before = contents(small_disk / "serving")
    for free in (0, 50_000, 900_000):
        fill(small_disk, but=free)
        with pytest.raises(Exception) as failed:  # noqa: PT011 - DuckDB's, the store's or ours, whichever comes first
            publisher.publish()
        assert means_full_disk(failed.value)
        (small_disk / "filler").unlink()
        after = contents(small_disk / "serving")
        assert before.items() <= after.items()
    assert publisher.query("select count(*) from fct_net_taker_volume_daily") == [(3,)]
    publisher.publish()
    assert publisher.query("select count(*) from fct_net_taker_volume_daily") == [(4,)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, but for the note of a file that was left whole: it goes when that is used."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".whole")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("text", "is_full"),
    [
        ("(sqlite3.OperationalError) database or disk is full", True),
        ("IO Error: Could not write file: No space left on device", True),
        ("database is locked", False),
        ("Conversion Error: 1e26 is out of range", False),
    ],
)
def test_what_other_programs_state_of_a_full_disk_is_understood(text: str, is_full: bool) -> None:
    assert means_full_disk(text) is is_full
    wrapped = ValueError("step failed")
    wrapped.__cause__ = RuntimeError(text)
    assert means_full_disk(wrapped) is is_full


def test_an_error_that_may_mean_more_is_a_full_disk_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's word for shared memory that finds no room, and for a broken disk."""
    error = sqlite3.OperationalError("disk I/O error")
    assert not means_full_disk(error, [tmp_path])
    monkeypatch.setattr(disk, "_free", lambda folder: 4096)
    assert means_full_disk(error, [tmp_path])
    assert not means_full_disk(sqlite3.OperationalError("no such table: runs"), [tmp_path])


def test_the_sentence_names_the_fuller_folder(tmp_path: Path) -> None:
    assert str(tmp_path) in full_disk_sentence("publish", [tmp_path, tmp_path / "not made yet"])


def test_what_a_killed_publication_left_beside_its_targets_is_removed(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    publisher.build_days(1)
    publisher.publish()
    old, new = (tmp_path / "serving" / "parquet" / f".data.parquet.{name}.part" for name in ("old", "new"))
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (0, 0))
    publisher.publish()
    assert (old.exists(), new.exists()) == (False, True)


def test_every_temporary_folder_is_made_in_scratch_space() -> None:
    """`tempfile` without `dir=` would leave folders behind in the system's, after each kill."""
    found = []
    for path in [*ROOT.glob("ingestion/**/*.py"), *ROOT.glob("orchestration/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "tempfile"
                and "dir" not in {keyword.arg for keyword in node.keywords}
            ):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
    assert load_settings(storage_url=str(ROOT)).paths.scratch == ROOT / "tmp"
