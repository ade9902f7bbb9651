"""A machine goes on from what another one has published to the same storage."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from ingestion.raw.receipts import sha256_of
from ingestion.raw.stores import open_store
from orchestration.config.paths import Paths
from orchestration.config.settings import Settings
from orchestration.report.write import report_path
from orchestration.runs.follow_publication import follow_publication
from orchestration.state.last_run import CheckFinding, adopt_note, note_run, read_note
from orchestration.state.whole import note_whole
from orchestration.warehouse.publish.catch_up import catch_up
from tests.support.publications import DAILY, EVERY_TYPE, MARKETS, Publisher

TABLES = (MARKETS, DAILY, "every_type", "fct_spike_rank_revisions", "publication", "publication_tables")


@pytest.fixture
def here(tmp_path: Path) -> Publisher:
    return Publisher.on(tmp_path)


@pytest.fixture
def there(tmp_path: Path, here: Publisher) -> Publisher:
    """Another state folder on the storage of `here`, which publishes later."""
    here.publish_days(40)
    made = Publisher(tmp_path / "there", open_store(tmp_path), now=here.now)
    made.folder.mkdir()
    made.build(*EVERY_TYPE)
    made.build_days(41)
    made.publish([MARKETS, DAILY, "every_type"], settings={"target": "lake", "audited": {"build_id": "b"}})
    return made


def caught(publisher: Publisher) -> str | None:
    scratch = publisher.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return catch_up(publisher.serving, publisher.store, scratch, memory_limit="1024MiB")


def test_the_file_becomes_what_the_other_machine_has_published(here: Publisher, there: Publisher) -> None:
    assert "was made anew" in (caught(here) or "")
    for table in TABLES:
        for sql in (
            f"select * from {table}",
            f"select columns(*)::varchar from {table}",
            f"select column_name, column_type from (describe {table})",
            f"select comment from duckdb_tables() where table_name = '{table}'",
            f"select column_name, comment from duckdb_columns() where table_name = '{table}'",
        ):
            assert str(here.query(sql)) == str(there.query(sql)), sql


def test_the_next_publication_replaces_what_changed_since(here: Publisher, there: Publisher) -> None:
    caught(here)
    before = here.query(f"select rowid from {DAILY} where bar_date < '2026-02-01'")
    here.build(*EVERY_TYPE)
    here.now = there.now
    here.build_days(42)
    here.publish([MARKETS, DAILY, "every_type"])
    latest = json.loads(here.store.get_bytes("serving/latest.json") or b"")
    former = json.loads((here.folder / "serving" / "versions" / latest["version"] / "manifest.json").read_bytes())
    assert former == latest
    assert here.query(f"select count(*) from {DAILY}") == [(42,)]
    assert here.query(f"select rowid from {DAILY} where bar_date < '2026-02-01'") == before
    assert caught(there) is not None
    assert there.query(f"select count(*) from {DAILY}") == [(42,)]


def test_the_latest_file_stays_as_it_is(here: Publisher, there: Publisher) -> None:
    content = there.serving.read_bytes()
    assert caught(there) is None
    assert there.serving.read_bytes() == content


def test_what_took_the_place_of_the_file_is_newer_whatever_the_clocks_show(tmp_path: Path, here: Publisher) -> None:
    here.publish_days(40)
    there = Publisher(tmp_path / "there", here.store, now=here.now - timedelta(minutes=5))
    there.folder.mkdir()
    there.publish_days(41)
    assert caught(here) is not None
    assert here.query(f"select count(*) from {DAILY}") == [(41,)]
    assert caught(there) is None


def test_a_storage_of_another_history_does_not_take_the_place_of_the_file(tmp_path: Path, here: Publisher) -> None:
    """As where a backup was restored that is older than what this machine has published since."""
    here.publish_days(40)
    backup = tmp_path / "backup"
    shutil.copytree(tmp_path / "serving", backup)
    here.publish_days(41)
    shutil.rmtree(tmp_path / "serving" / "versions")
    shutil.copytree(backup, tmp_path / "serving", dirs_exist_ok=True, ignore=lambda *_: ["marts.duckdb"])
    assert caught(here) is None
    assert here.query(f"select count(*) from {DAILY}") == [(41,)]


def test_a_file_that_is_gone_is_made_anew(there: Publisher) -> None:
    there.serving.unlink()
    assert caught(there) is not None
    assert there.query(f"select count(*) from {DAILY}") == [(41,)]


@pytest.mark.parametrize(
    "damage", ["a flipped bit", "no file", "a manifest of a former version", "another type", "torn"]
)
def test_of_a_version_that_is_not_whole_nothing_is_made(here: Publisher, there: Publisher, damage: str) -> None:
    latest_file = here.folder / "serving" / "latest.json"
    latest = json.loads(latest_file.read_bytes())
    mart = here.folder / "serving" / latest["marts"][DAILY]["file"]
    match damage:
        case "a flipped bit":
            flipped = bytearray(mart.read_bytes())
            flipped[len(flipped) // 2] ^= 1
            mart.write_bytes(flipped)
        case "no file":
            mart.unlink()
        case "a manifest of a former version":
            del latest["settings"]
        case "another type":
            latest["marts"][DAILY]["schema"][1]["type"] = "HUGEINT"
    latest_file.write_text('{"torn' if damage == "torn" else json.dumps(latest))
    content = here.serving.read_bytes()
    assert caught(here) is None
    assert here.serving.read_bytes() == content
    assert {path.name for path in here.serving.parent.glob(".marts*")} <= {".marts.duckdb.whole"}


def test_a_file_that_is_damaged_is_left_to_the_next_publication(here: Publisher, there: Publisher) -> None:
    here.serving.write_bytes(b"torn")
    assert caught(here) is None
    assert here.serving.read_bytes() == b"torn"


def test_with_the_publication_comes_what_its_run_had_to_report(here: Publisher, there: Publisher) -> None:
    finding = CheckFinding("marts", "gx", blocks=False, description="2 of 7 rows break the rule")
    note_run(Paths(there.folder), there.store, "run-1", [finding], sha256_of(there.serving))
    caught(here)
    adopt_note(Paths(here.folder), here.store, "another")
    assert read_note(Paths(here.folder)) == {}
    adopt_note(Paths(here.folder), here.store, "run-1")
    note, other = read_note(Paths(here.folder)), read_note(Paths(there.folder))
    assert (note["run_id"], note["checks"]) == (other["run_id"], other["checks"])
    # Each file has bytes of its own: what a run finds unchanged is that of its machine.
    assert note["serving_sha256"] != other["serving_sha256"]


def test_what_the_other_machine_leaves_later_is_made_up_for_by_the_next_run(settings: Settings) -> None:
    """Its note comes at the end of its run. A page that cannot be drawn of its marts is no error of this run."""
    paths = settings.paths
    paths.state.mkdir()
    here = Publisher.on(paths.state)
    here.publish_days(40)
    there = Publisher(paths.state / "there", here.store, now=here.now)
    there.folder.mkdir()
    there.publish_days(41)
    assert "was made anew" in (follow_publication(settings.dbt, here.store) or "")
    assert (read_note(paths), report_path(paths.serving).exists()) == ({}, False)
    note_run(Paths(there.folder), there.store, "run-1", [], sha256_of(there.serving))
    content = paths.serving.read_bytes()
    paths.serving.write_bytes(content)  # the note would state the bytes of who wrote last
    assert follow_publication(settings.dbt, here.store) is None
    assert read_note(paths) == {}
    note_whole(paths.serving)
    assert follow_publication(settings.dbt, here.store) is None
    assert read_note(paths)["run_id"] == "run-1"


def test_a_publication_is_stated_by_the_files_alone(there: Publisher) -> None:
    latest = json.loads(there.store.get_bytes("serving/latest.json") or b"")
    ((settings, audit),) = there.query("select settings, audit from publication")
    assert (latest["settings"], latest["audit"]) == (json.loads(settings), json.loads(audit))
