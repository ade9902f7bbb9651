"""The wheel in a clean environment and an empty folder: everything is in it, and nothing is written beside it.

The wheel is built from the tracked files alone, by the locked build system. The environment is new; the packages that
Taker needs are this one's, by a path file, so that nothing is downloaded: of Taker it holds the wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.support.commands import ROOT
from tests.support.dagster_web import answering, free_port, graphql, running, without_settings

ASSETS = "{ assetNodes { id } repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"


@dataclass(frozen=True)
class Installed:
    """`folder`: empty before the first command. `home`: the home folder of who runs them."""

    python: Path
    packages: Path
    folder: Path
    home: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("taker")), *arguments]

    def environment(self, **settings: str) -> dict[str, str]:
        # Python finds its compiled files in any case; that it writes them beside the source is not ours.
        kept = {"HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
        return without_settings() | kept | {f"TAKER_{name.upper()}": value for name, value in settings.items()}

    def run(self, *arguments: str, **settings: str) -> str:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> dict[str, str]:
        """Every file of the installed package, by its content."""
        return {
            str(path.relative_to(self.packages)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.packages.rglob("*")
            if path.is_file()
        }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():  # not one that is being removed
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    uv = Path(sys.executable).with_name("uv")
    options = ["--wheel", "--no-build-isolation", "--offline", "--python", sys.executable, "--out-dir", str(out)]
    subprocess.run([str(uv), "build", *options, str(source)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / "venv")], check=True)
    python = root / "venv" / "bin" / "python"
    install = ["pip", "install", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run([str(Path(sys.executable).with_name("uv")), *install], check=True, capture_output=True)
    (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(f"{ours}\n")
    (root / "empty").mkdir()
    (root / "home").mkdir()
    return Installed(python, packages, root / "empty", root / "home")


def test_what_is_imported_is_the_wheel(installed: Installed) -> None:
    code = "import ingestion, orchestration; print(ingestion.__file__, orchestration.__file__)"
    found = subprocess.run([str(installed.python), "-c", code], cwd=installed.folder, capture_output=True, text=True)
    assert [Path(name).is_relative_to(installed.packages) for name in found.stdout.split()] == [True, True]


def test_the_documentation_is_installed_where_messages_say_it_is(installed: Installed) -> None:
    code = "from orchestration.config.documentation import documentation; print(documentation())"
    found = subprocess.run([str(installed.python), "-c", code], cwd=installed.folder, capture_output=True, text=True)
    pages = Path(found.stdout.strip())
    assert pages.is_relative_to(installed.python.parent.parent), found.stderr
    # Pages, and what they link to, are as in the repository.
    for name in ("querying.md", "metrics/index.md", "operations/index.md", "decisions/index.md", "../CHANGELOG.md"):
        assert (pages / name).read_bytes() == (ROOT / "docs" / name).read_bytes()


def test_demo_run_and_ui_work_in_an_empty_folder_and_write_only_there(installed: Installed, tmp_path: Path) -> None:
    before = installed.files()
    demo = json.loads(installed.run("demo", "--json"))
    assert demo["published"]
    assert [path.name for path in installed.folder.iterdir()] == ["var"]

    # The same raw zone under settings of one's own, with the state in another folder: a build from nothing.
    market, storage, state = "simulated:BTCUSDT", installed.folder / "var" / "demo", tmp_path / "state"
    settings = {
        "markets": market,
        "archive_url": (storage / "archive").as_uri(),
        "storage_url": str(storage),
        "state_dir": str(state),
    }
    last_day = json.loads((storage / "demo.json").read_text())["last_day"]
    assert json.loads(installed.run("run", "--json", "--from", last_day, "--to", last_day, **settings))["published"]
    with duckdb.connect(str(state / "serving" / "marts.duckdb"), read_only=True) as marts:
        assert marts.sql(
            f"select count(*) > 700 from fct_net_taker_volume_daily where market_id = '{market}'"
        ).fetchall() == [(True,)]

    port, log = free_port(), tmp_path / "ui.log"
    command = installed.command("ui", "--demo", "--port", str(port))
    with running(command, cwd=installed.folder, environment=installed.environment(), log=log) as ui:
        found = graphql(answering(port, ui, log), ASSETS)
    assert [node["location"]["name"] for node in found["repositoriesOrError"]["nodes"]] == ["taker_SIMULATED"]
    assert len(found["assetNodes"]) > 50

    assert installed.files() == before
    assert [path.name for path in installed.folder.iterdir()] == ["var"]
    assert list(installed.home.iterdir()) == []
