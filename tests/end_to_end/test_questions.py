"""`docs/questions.md`: each query runs on the demo's marts as it stands, and its answer is the one on the page."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from orchestration.cli.render.rows import show_rows
from orchestration.serving.published import query
from tests.support.demos import Demo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "questions.md"
ANSWERED = re.compile(r"```sql\n(?P<query>.*?)\n```\n\n```text\n.*?```", re.DOTALL)


def answered(marts: Path, sql: str) -> str:
    """What `taker sql` prints, on a page of 120 columns."""
    console = Console(file=io.StringIO(), width=120, highlight=False)
    show_rows(console, *query(marts, sql))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines)


@pytest.mark.xdist_group("demo")
def test_the_page_has_the_answers_of_the_demo(finished_demo: Demo, request: pytest.FixtureRequest) -> None:
    """`--write-golden` writes them."""
    page = PAGE.read_text()

    def with_answer(found: re.Match[str]) -> str:
        sql = found["query"]
        return f"```sql\n{sql}\n```\n\n```text\n{answered(finished_demo.taker.marts, sql)}\n```"

    written = ANSWERED.sub(with_answer, page)
    if request.config.getoption("--write-golden"):
        PAGE.write_text(written)
    assert len(ANSWERED.findall(page)) >= 20
    assert written == PAGE.read_text()
