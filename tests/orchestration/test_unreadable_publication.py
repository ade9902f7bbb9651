"""A published file that is there and cannot be read: every command that reads it states why, and what to run."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from tests.support.claimed import publish_for_claims

READERS = (
    ("sql", "select count(*), max(hash(b)) from fct_taker_spike_ranks as b"),
    ("brief",),
    ("claim", "BTCUSDT 2024-03-15 bearish rank 1"),
    ("report",),
    ("alerts", "--dry-run"),
)


def torn(path: Path) -> None:
    os.truncate(path, 20_000)


def torn_header(path: Path) -> None:
    os.truncate(path, 3000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(3 * 4096 + 100, len(content), 1000):
        content[at] ^= 1
    path.write_bytes(content)


def of_a_newer_duckdb(path: Path) -> None:
    """The number of the storage format, and the checksum of the header that holds it."""
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<Q", 999)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    content[:8] = struct.pack("<Q", checksum)
    path.write_bytes(content)


def without_tables(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table fct_taker_spike_ranks as select 1 as n")


DAMAGED = "`taker run` sets it aside and publishes it anew"
NEWER = "update Taker with `make setup`, or remove the file and publish it anew with `taker run`"


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "var" / "serving" / "marts.duckdb"
    path.parent.mkdir(parents=True)
    publish_for_claims(path)
    return path


@pytest.mark.parametrize("arguments", READERS, ids=lambda each: each[0])
@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (torn, DAMAGED),
        (torn_header, DAMAGED),
        (emptied, DAMAGED),
        (garbage, DAMAGED),
        (flipped, DAMAGED),
        (of_a_newer_duckdb, NEWER),
        (without_tables, "`taker run` publishes anew"),
    ],
)
def test_a_sentence_states_what_to_run(
    damage: Callable[[Path], None], remedy: str, arguments: tuple[str, ...], serving: Path
) -> None:
    damage(serving)
    done = CliRunner().invoke(app, list(arguments))
    if damage is without_tables and arguments[0] in ("sql", "alerts"):
        assert done.exit_code == 0  # what is queried is there; the kinds that are not judged are named
        return
    assert done.exit_code == (3 if arguments[0] == "claim" else 1), done.output
    assert remedy in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "--debug" not in done.stderr


@pytest.mark.parametrize(("damage", "remedy"), [(garbage, DAMAGED), (of_a_newer_duckdb, NEWER)])
def test_verification_names_the_file_and_what_to_run(
    damage: Callable[[Path], None], remedy: str, serving: Path
) -> None:
    damage(serving)
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 1
    shown = " ".join(done.stdout.split())
    assert "marts.duckdb" in shown
    assert remedy in shown


OF_ANOTHER_VERSION = "was written by another version of Taker and lacks what this one reads ("


def without_a_day(path: Path) -> None:
    """As before a column was renamed."""
    with duckdb.connect(str(path)) as connection:
        for (table,) in connection.execute(
            "select table_name from duckdb_columns() where not internal and column_name = 'bar_date'"
        ).fetchall():
            connection.execute(f"alter table {table} rename bar_date to trade_date")


@pytest.mark.parametrize(("arguments", "lacking"), [(("verify",), "publication_tables"), (("brief",), "bar_date")])
def test_a_publication_that_lacks_a_column_is_one_of_another_version(
    arguments: tuple[str, ...], lacking: str, serving: Path
) -> None:
    without_a_day(serving)
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 1
    (sentence,) = done.stderr.strip().splitlines()
    assert OF_ANOTHER_VERSION in sentence
    assert lacking in sentence
    assert sentence.endswith("`taker run` publishes anew")
    assert "damaged" not in done.output
    assert "1 faults" not in done.output


def test_the_state_of_the_raw_zone_is_shown_beside_a_publication_of_another_version(
    serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.serving import raw_status

    without_a_day(serving)
    monkeypatch.setattr(raw_status, "_series", lambda index, defects, lost: [lost])
    notices: list[str] = []

    class Zone:
        def as_of_now(self) -> tuple[pa.Table, None]:
            return pa.table({"a": [1]}), None

    assert raw_status.raw_status(Zone(), serving, notices.append) == [{}]  # type: ignore[arg-type, comparison-overlap]
    assert OF_ANOTHER_VERSION in notices[0]
