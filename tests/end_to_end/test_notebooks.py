"""The notebooks answer on the demo what they show: each is executed anew, and compared with its stored answers.

They were executed on the demo of the tests, whose last day is fixed: `--write-golden` stores their answers anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support.demos import Demo
from tools.notebooks import FOLDER, executed

pytestmark = pytest.mark.xdist_group("demo")
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def answers(notebook: Any) -> list[list[str]]:
    """What each cell of code shows: its texts, and that there is a picture, whose bytes depend on fonts."""
    return [
        [
            "a picture"
            if "image/png" in output.get("data", {})
            else output.get("data", output).get("text/plain", "") or output.get("text", "")
            for output in cell.outputs
            if output.get("name") != "stderr"
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["after_a_spike", "unusual_day"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_shows_what_it_answers_on_the_demo(path: Path, finished_demo: Demo, request: pytest.FixtureRequest) -> None:
    made = executed(path, finished_demo.taker.marts)
    if request.config.getoption("--write-golden"):
        nbformat.write(made, path)  # type: ignore[no-untyped-call]
    stored = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    assert answers(made) == answers(stored)
    assert "a picture" in str(answers(made))
    assert all(cell.outputs for cell in made.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_names_no_machine_and_no_other_host(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert "/tmp/" not in text
    assert "/home/" not in text
    assert len(text) < 400_000
