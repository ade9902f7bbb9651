"""The wheel in a clean environment and an empty folder: everything is in it, and nothing is written beside it.

The demo that it makes in an empty folder is the one that the other tests of a demo look at.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.support.commands import ROOT
from tests.support.dagster_web import answering, free_port, graphql, running
from tests.support.demos import Demo
from tests.support.installed import Installed

pytestmark = pytest.mark.xdist_group("demo")

ASSETS = "{ assetNodes { id } repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"


def test_what_is_imported_is_the_wheel(installed: Installed, tmp_path: Path) -> None:
    code = "import ingestion, orchestration; print(ingestion.__file__, orchestration.__file__)"
    found = subprocess.run([str(installed.python), "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert [Path(name).is_relative_to(installed.packages) for name in found.stdout.split()] == [True, True]


def test_the_documentation_is_installed_where_messages_say_it_is(installed: Installed, tmp_path: Path) -> None:
    code = "from orchestration.config.documentation import documentation; print(documentation())"
    found = subprocess.run([str(installed.python), "-c", code], cwd=tmp_path, capture_output=True, text=True)
    pages = Path(found.stdout.strip())
    assert pages.is_relative_to(installed.python.parent.parent), found.stderr
    # Pages, and what they link to, are as in the repository.
    for name in ("querying.md", "metrics/index.md", "operations/index.md", "decisions/index.md", "../CHANGELOG.md"):
        assert (pages / name).read_bytes() == (ROOT / "docs" / name).read_bytes()


def test_demo_run_and_ui_work_in_an_empty_folder_and_write_only_there(
    finished_demo: Demo, installed: Installed, tmp_path: Path
) -> None:
    assert finished_demo.facts["published"]
    assert [path.name for path in finished_demo.folder.iterdir()] == ["var"]

    # The same raw zone under settings of one's own, with the state in another folder: a build from nothing.
    demo, market, state = finished_demo.copied_to(tmp_path / "copy"), "simulated:BTCUSDT", tmp_path / "state"
    storage = demo.taker.storage
    settings = {
        "markets": market,
        "archive_url": (storage / "archive").as_uri(),
        "storage_url": str(storage),
        "state_dir": str(state),
    }
    last_day = json.loads((storage / "demo.json").read_text())["last_day"]
    run = ("run", "--json", "--from", last_day, "--to", last_day)
    assert json.loads(installed.run(demo.folder, *run, **settings))["published"]
    with duckdb.connect(str(state / "serving" / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql(
            f"select count(*) > 700 from fct_net_taker_volume_daily where market_id = '{market}'"
        ).fetchall() == [(True,)]

    port, log = free_port(), tmp_path / "ui.log"
    command = installed.command("ui", "--demo", "--port", str(port))
    with running(command, cwd=demo.folder, environment=installed.environment(), log=log) as ui:
        found = graphql(answering(port, ui, log), ASSETS)
    assert [node["location"]["name"] for node in found["repositoriesOrError"]["nodes"]] == ["taker_SIMULATED"]
    assert len(found["assetNodes"]) > 50

    assert installed.files() == installed.as_installed
    assert [path.name for path in demo.folder.iterdir()] == ["var"]
    assert list(installed.home.iterdir()) == []
