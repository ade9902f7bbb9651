"""A judge that was begun ahead of the audit: its verdicts are this process's own, and so they are when it is gone."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from orchestration.warehouse.audit import begun, gx
from orchestration.warehouse.audit.begun import BegunJudge, begun_judge
from orchestration.warehouse.audit.broken import AuditNotEvaluated
from tests.orchestration.audit.auditing import SUITE_BY_NAME
from tests.orchestration.audit.conftest import GOOD_MARTS
from tests.orchestration.audit.corruption import DAILY, HOURLY, INVERSE, ONE_DAY
from tests.support.commands import ROOT
from tests.support.processes import eventually, process

BROKEN_ROWS = "ExpectColumnValuesToBeInSet", {"column": "broken_rows", "value_set": [0]}


@pytest.fixture(scope="module")
def judge() -> Iterator[BegunJudge]:
    with begun_judge() as judge:
        yield judge


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of what this process has judged, which it does by a rule of thumb."""
    judged: list[str] = []

    def unexpected(frame: pd.DataFrame, kind: str, arguments: object) -> list[int]:
        judged.append(kind)
        return [row for row, count in enumerate(frame["broken_rows"]) if count]

    monkeypatch.setattr(gx, "_unexpected", unexpected)
    return judged


def counts(*broken_rows: int) -> pd.DataFrame:
    return pd.DataFrame({"broken_rows": broken_rows})


@pytest.mark.parametrize(
    ("name", "corruption"),
    [
        (DAILY, ""),
        # Times, texts, booleans, floats with NaN, and NULL in what is shown.
        (HOURLY, f"update {HOURLY} set taker_sell_ratio = 'nan'::double, close_price = close_price * bar_at.hour()"),
        (HOURLY, f"update {HOURLY} set taker_sell_ratio = 2, volume_usd = null, flow_source = 'guess'"),
        ("dim_markets", f"update dim_markets set is_simulated = true where market_id = '{INVERSE}'"),
        ("dim_markets", "insert into dim_markets from dim_markets"),
        (f"{DAILY}_gaps", f"delete from {DAILY} where {ONE_DAY}"),
    ],
)
def test_its_verdicts_are_those_of_this_process(
    name: str, corruption: str, marts: duckdb.DuckDBPyConnection, judge: BegunJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    if corruption:
        marts.execute(corruption)
    own = gx.audit(marts, SUITE_BY_NAME[name])
    monkeypatch.setattr(gx, "_unexpected", lambda *about: pytest.fail(f"judged here: {about}"))
    assert gx.audit(marts, SUITE_BY_NAME[name], judge=judge) == own
    assert own.success == (not corruption)
    assert corruption == "" or any(result["sample"] for result in own.results)


def test_one_that_was_killed_is_replaced_by_this_process(here: list[str]) -> None:
    with begun_judge() as judge:
        assert judge.process is not None
        judge.process.kill()
        judge.process.wait()
        assert judge.unexpected(counts(0, 3, 0, 1), *BROKEN_ROWS) == [1, 3]
    assert len(here) == 1


def test_so_is_one_that_does_not_answer_in_time_and_its_late_answer_is_taken_for_no_other(
    here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "_PATIENCE_SECONDS", 0)
    link, late = Pipe()
    with link, late:
        judge = BegunJudge(None, link)
        assert judge.unexpected(counts(0, 3), *BROKEN_ROWS) == [1]
        late.send_bytes(b"[1]")
        assert judge.unexpected(counts(2, 0), *BROKEN_ROWS) == [0]
    assert len(here) == 2


def test_so_is_one_that_could_not_be_started(here: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "JUDGE_COMMAND", ("/nowhere/python",))
    with begun_judge() as judge:
        assert judge.process is None
        assert judge.unexpected(counts(1, 0), *BROKEN_ROWS) == [0]
    assert len(here) == 1


@pytest.mark.parametrize("answer", ["[2]", "[-1]", "[true]", "[0.0]", '["0"]', "{}", "null", "0", "[0", ""])
def test_so_is_one_whose_answer_names_no_rows_of_the_frame(
    answer: str, here: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answering = (
        "import os; os.write(1, b'no row'); os.write(2, b'no row'); "
        f"from multiprocessing.connection import Connection; Connection(0).send_bytes({answer.encode()!r})"
    )
    monkeypatch.setattr(begun, "JUDGE_COMMAND", (sys.executable, "-S", "-c", answering))
    with begun_judge() as judge:
        assert judge.unexpected(counts(0, 3), *BROKEN_ROWS) == [1]
    assert len(here) == 1
    assert capfd.readouterr() == ("", "")


def test_what_it_cannot_judge_ends_it_without_an_answer() -> None:
    link, others = Pipe()
    with link, others:
        link.send_bytes(pickle.dumps((counts(1), BROKEN_ROWS[0], {"column": "nothing", "value_set": [0]})))
        with pytest.raises(AuditNotEvaluated, match="nothing"):
            begun._serve(others)
        assert not link.poll()


def test_it_ends_with_the_block_that_began_it() -> None:
    with pytest.raises(KeyboardInterrupt), begun_judge() as judge:
        raise KeyboardInterrupt
    assert judge.process is not None
    assert judge.process.returncode == -signal.SIGKILL


def test_it_ends_with_the_process_that_began_it_and_not_by_the_terminal(tmp_path: Path) -> None:
    start = (
        # Where the tests run in the background, Ctrl-C is ignored already.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from orchestration.warehouse.audit.begun import begun_judge; begun = begun_judge(); judge = begun.__enter__()"
    )
    state = f"Path({str(tmp_path / 'pid')!r}).write_text(str(judge.process.pid))"
    with process(tmp_path, start, state) as parent:
        pid = int((tmp_path / "pid").read_text())
        status = Path(f"/proc/{pid}/status")
        assert eventually(lambda: _ignores(status, signal.SIGINT))
        os.kill(pid, signal.SIGSTOP)  # so that it does not notice by itself
        parent.kill()
        is_gone = eventually(lambda: not _runs(status))
        if not is_gone:
            os.kill(pid, signal.SIGKILL)
        assert is_gone


def _ignores(status: Path, number: int) -> bool:
    (mask,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigIgn:")]
    return bool(int(mask, 16) >> (number - 1) & 1)


def _runs(status: Path) -> bool:
    """One that waits only to be collected does not."""
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_process_that_began_it_imports_no_great_expectations_and_shows_nothing(tmp_path: Path) -> None:
    program = (
        "import sys, duckdb\n"
        "from orchestration.warehouse.audit import gx\n"
        "from orchestration.warehouse.audit.begun import begun_judge\n"
        "from orchestration.warehouse.audit.suites import SUITES\n"
        "suite = next(suite for suite in SUITES if suite.name == 'dim_markets')\n"
        f"marts = duckdb.connect(); marts.execute(open({str(GOOD_MARTS)!r}).read())\n"
        "marts.execute('insert into dim_markets from dim_markets')\n"
        "with begun_judge() as judge:\n"
        "    assert gx.audit(marts, suite, judge=judge).blocking\n"
        "sys.exit('great_expectations' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(tmp_path.iterdir()) == []
