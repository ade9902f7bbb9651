"""The wheel in a clean environment and an empty folder: everything is in it, and nothing is written beside it.

The demo that it makes in an empty folder is the one that the other tests of a demo look at. Its UI, and a run of it
under settings of one's own, are those of `test_dagster_ui.py`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.demos import Demo
from tests.support.installed import Installed

pytestmark = pytest.mark.xdist_group("demo")


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


def test_the_demo_works_in_an_empty_folder_and_writes_only_there(finished_demo: Demo, installed: Installed) -> None:
    """A run under settings of one's own, and the UI: test_dagster_ui.py."""
    assert finished_demo.facts["published"]
    assert installed.files() == installed.as_installed
    assert [path.name for path in finished_demo.folder.iterdir()] == ["var"]
    assert list(installed.home.iterdir()) == []
