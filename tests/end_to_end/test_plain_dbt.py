"""dbt as its users start it, `dbt build` in the project's folder with the generated profile.

The same warehouse, the same raw zone, the same tables; and an error where the raw zone is not the one that the
warehouse was built from: what models and macros decide as they run, in processes that need not import dbt and parse the
project once more, which dbt does for each other profile in fifteen seconds of CPU.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest

from orchestration.config.dbt import DbtConfig
from orchestration.config.settings import load_settings
from orchestration.config.storage import Storage
from orchestration.warehouse.dbt import load_manifest, marts_in
from orchestration.warehouse.parsed import parsed_path, run_dbt
from orchestration.warehouse.profile import PROJECT_DIR, write_profile
from tests.support.dagster_web import without_settings
from tests.support.demos import Demo
from tests.support.forked import completed

pytestmark = pytest.mark.xdist_group("demo")
GENERATED = shutil.ignore_patterns("target", "logs")
RECEIPTS = "base_raw__receipts"


@dataclass(frozen=True)
class Plain:
    """A copy of the project, in which dbt may write, and what the settings of a warehouse are."""

    project: Path
    config: DbtConfig

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`dbt ARGUMENTS --profiles-dir STATE/dbt`, in the folder of the project."""
        dbt = str(Path(sys.executable).with_name("dbt"))
        command = [dbt, *arguments, "--profiles-dir", str(write_profile(self.config))]
        return subprocess.run(command, cwd=self.project, env=without_settings(), capture_output=True, text=True)

    def done(self, *arguments: str) -> str:
        done = self.dbt(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def parsed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same of the project as it was parsed before."""
        return dbt_of_the_parsed(self.project, *arguments, "--profiles-dir", str(write_profile(self.config)))

    def stored_days(self) -> int:
        with duckdb.connect(str(self.config.paths.warehouse), read_only=True) as warehouse:
            found = warehouse.sql(f"select count(*) from {RECEIPTS} where status = 'stored'").fetchone()
        return int(found[0]) if found else 0


def dbt_of_the_parsed(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return completed(_dbt, arguments, without_settings(), project)


def _dbt() -> None:
    run_dbt(sys.argv[1:])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = shutil.copytree(PROJECT_DIR, tmp_path_factory.mktemp("plain") / "dbt_project", ignore=GENERATED)
    parsed_path(copied).parent.mkdir()
    shutil.copy(parsed_path(PROJECT_DIR), parsed_path(copied))
    return copied


@pytest.fixture(scope="module")
def plain(finished_demo: Demo, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    demo = finished_demo.copied_to(tmp_path_factory.mktemp("by_hand"))
    settings = load_settings(storage_url=str(demo.taker.storage), archive_url=demo.simulated.root.as_uri())
    return Plain(project, settings.dbt)


def differing(former: Path, now: Path, tables: Sequence[str]) -> dict[str, int]:
    """How many rows of each table are in one of the two files alone, where there are any."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{former}' as former (read_only)")
        connection.execute(f"attach '{now}' as made (read_only)")
        counts = {}
        for table in tables:
            one, other = f"from former.main.{table}", f"from made.main.{table}"
            sides = (f"{one} except all {other}", f"{other} except all {one}")
            counts[table] = sum(len(connection.execute(side).fetchall()) for side in sides)
    return {table: count for table, count in counts.items() if count}


def test_a_plain_build_makes_the_tables_that_the_run_made(plain: Plain, tmp_path: Path) -> None:
    warehouse = plain.config.paths.warehouse
    former = Path(shutil.copy(warehouse, tmp_path / "former.duckdb"))
    # The unit tests ask nothing of this warehouse: each passes in tests/dbt/test_unit_tests.py.
    plain.done("build", "--exclude-resource-type", "unit_test")
    marts = marts_in(load_manifest(plain.project / "target" / "manifest.json"))
    assert len(marts) > 15
    assert differing(former, warehouse, marts) == {}


def test_plain_tests_and_documentation_are_of_that_warehouse(plain: Plain) -> None:
    tested = plain.parsed("test", "--select", "rules_of_fct_taker_spike_ranks")
    assert "PASS=1 " in tested.stdout, tested.stdout + tested.stderr
    plain.done("docs", "generate")
    catalog = json.loads((plain.project / "target" / "catalog.json").read_text())
    described = catalog["nodes"]["model.taker.fct_taker_spike_ranks"]
    assert described["metadata"]["database"] == "warehouse"
    assert {"spike_rank", "window_bars"} <= set(described["columns"])


def test_another_raw_zone_without_receipts_is_an_error_and_empties_nothing(plain: Plain, tmp_path: Path) -> None:
    before = plain.stored_days()
    elsewhere = Plain(plain.project, replace(plain.config, storage=Storage(str(tmp_path / "elsewhere"))))
    answer = elsewhere.parsed("run", "--select", f"+{RECEIPTS}", "stg_raw__klines")
    assert answer.returncode == 1
    assert f"the raw zone at {tmp_path / 'elsewhere'}/raw has no receipts" in answer.stdout
    assert f"was built from {before} stored days" in answer.stdout
    assert plain.stored_days() == before > 0


def test_data_without_an_index_of_receipts_is_an_error(project: Path, tmp_path: Path) -> None:
    unindexed = Plain(project, load_settings(storage_url=str(tmp_path)).dbt)
    data = tmp_path / "raw/klines/venue=simulated/symbol=X/interval=1h/month=2024-01/data.parquet"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"")
    answer = unindexed.parsed("run", "--select", RECEIPTS)
    assert answer.returncode == 1
    assert "holds data and no index of its receipts" in answer.stdout


def test_a_new_raw_zone_is_an_empty_table(project: Path, tmp_path: Path) -> None:
    new = Plain(project, load_settings(storage_url=str(tmp_path)).dbt)
    done = new.parsed("run", "--select", RECEIPTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert new.stored_days() == 0


def bare_profile(folder: Path) -> Path:
    """A profile that names a warehouse and nothing else."""
    output = {"type": "duckdb", "path": str(folder / "warehouse.duckdb")}
    (folder / "profiles.yml").write_text(json.dumps({"taker": {"target": "duckdb", "outputs": {"duckdb": output}}}))
    return folder


def test_a_profile_that_states_no_raw_zone_builds_nothing(project: Path, tmp_path: Path) -> None:
    stated = ("--vars", json.dumps({"simulated_venues": ["simulated"]}))
    options = ("--select", RECEIPTS, "--profiles-dir", str(bare_profile(tmp_path)))
    answer = dbt_of_the_parsed(project, "run", *options, *stated)
    assert answer.returncode != 0
    assert "the profile states no raw zone" in answer.stdout


def test_a_profile_that_does_not_state_which_venues_are_simulated_is_not_even_parsed(
    project: Path, tmp_path: Path
) -> None:
    dbt = str(Path(sys.executable).with_name("dbt"))
    command = [dbt, "run", "--select", RECEIPTS, "--profiles-dir", str(bare_profile(tmp_path))]
    answer = subprocess.run(command, cwd=project, env=without_settings(), capture_output=True, text=True)
    assert answer.returncode != 0
    assert "the profile does not state which venues are simulated" in answer.stdout
