"""Commands that a sentence names read the data that the sentence is about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.cli.errors import fail, reporting_errors
from orchestration.cli.hints import as_typed, hint_at_demo
from orchestration.cli.render.console import stderr, stdout


@pytest.fixture(autouse=True)
def of_demo() -> Iterator[None]:
    hint_at_demo(True)
    yield
    hint_at_demo(False)


@pytest.mark.parametrize(
    ("sentence", "typed"),
    [
        ("`taker status --defects` lists them", "`taker status --demo --defects` lists them"),
        ("`taker brief --market MARKET`, `taker sql`", "`taker brief --demo --market MARKET`, `taker sql --demo`"),
        ("`taker verify --demo` compares", "`taker verify --demo` compares"),
        ("`taker run` publishes, `taker demo` too", "`taker run` publishes, `taker demo` too"),
        ("taker status, `taker statuses`", "taker status, `taker statuses`"),
    ],
)
def test_of_the_demo_they_have_its_option(sentence: str, typed: str) -> None:
    assert as_typed(sentence) == typed
    hint_at_demo(False)
    assert as_typed(sentence) == sentence


def test_until_the_command_ends() -> None:
    hint_at_demo(False)
    with reporting_errors(debug=False):
        hint_at_demo(True)
        with reporting_errors(debug=False):
            hint_at_demo(False)
        assert as_typed("`taker status`") == "`taker status --demo`"
    assert as_typed("`taker status`") == "`taker status`"


def test_wherever_they_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for console in (stdout(), stderr()):
        console.print("[dim]`taker status`[/] shows")
    with pytest.raises(BaseException, match="1"):
        fail("no: `taker status` shows")
    out, err = capsys.readouterr()
    assert (out, err) == (
        "`taker status --demo` shows\n",
        "`taker status --demo` shows\nerror: no: `taker status --demo` shows\n",
    )
