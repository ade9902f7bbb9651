"""A publication that Dagster started leaves the note by which the next `taker run` finds nothing to do."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from ingestion.raw.store import LocalStore
from orchestration.automation.note_publications import noted
from orchestration.config.paths import Paths
from orchestration.state.last_run import SHARED, CheckFinding, read_note
from orchestration.warehouse.publish.parquet import LATEST


def evaluated(check: str, *, passed: bool = False) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("fct_flow_reconciliation_daily"),
        check_name=check,
        passed=passed,
        metadata={},
        severity=dg.AssetCheckSeverity.WARN,
        description="the day's trades are complete: 2 of 7 rows break the rule",
    )


WARNED = evaluated("gx_fct_flow_reconciliation_daily")
PASSED = evaluated("gx_other", passed=True)
STALE = evaluated("is_fresh")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A state folder with a publication of run `ours`."""
    made = Paths(tmp_path)
    made.serving.parent.mkdir()
    with duckdb.connect(str(made.serving)) as marts:
        marts.execute("create table publication as select 'ours' as run_id")
    return made


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A storage on which that publication stands."""
    made = LocalStore(tmp_path / "storage")
    made.put_bytes(LATEST, b'{"run_id": "ours"}')
    return made


def test_the_run_whose_publication_stands_is_noted_with_what_its_checks_found(paths: Paths, store: LocalStore) -> None:
    assert noted(paths, store, "ours", [WARNED, PASSED, STALE]) == "noted run ours"
    note = read_note(paths)
    assert note["run_id"] == "ours"
    # That days are late depends on when it is looked at: who reads the note looks again.
    assert [CheckFinding(**check).name for check in note["checks"]] == ["gx_fct_flow_reconciliation_daily"]


def test_a_run_whose_publication_was_replaced_is_not_noted(paths: Paths, store: LocalStore) -> None:
    assert "of another run, ours" in noted(paths, store, "former", [])
    assert read_note(paths) == {}


def test_a_run_after_which_another_machine_has_published_is_not_noted(paths: Paths, store: LocalStore) -> None:
    store.put_bytes(LATEST, b'{"run_id": "theirs"}')
    assert "of another run, theirs" in noted(paths, store, "ours", [])
    assert (read_note(paths), store.get_bytes(SHARED)) == ({}, None)


def test_the_note_of_the_command_line_is_kept(paths: Paths, store: LocalStore) -> None:
    noted(paths, store, "ours", [WARNED])
    assert noted(paths, store, "ours", []) == "noted by the run itself"
    assert len(read_note(paths)["checks"]) == 1


def test_without_a_publication_there_is_nothing_to_note(tmp_path: Path) -> None:
    assert "nothing is published" in noted(Paths(tmp_path), LocalStore(tmp_path), "ours", [])
