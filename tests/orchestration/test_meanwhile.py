"""What a run makes before its end needs it: once, when its step begins, and with its error where it is needed."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import pytest

from orchestration.config.settings import Settings
from orchestration.progress import Progress
from orchestration.report import charts
from orchestration.runs import execution, meanwhile
from orchestration.runs.meanwhile import Meanwhile
from orchestration.runs.report import Recorder, RunReport
from orchestration.serving.defects import Losses
from orchestration.warehouse.audit import gx

# Those that judge: the audit, and the publication with its history.
STEPS = ("audit", "published__marts")


class _Calls:
    """Counts what is made, in the place of the work itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.beside: list[str] = []  # not by the thread that needs it
        monkeypatch.setattr(meanwhile, "losses_of", lambda *_: self._made("losses", Losses()))
        monkeypatch.setattr(meanwhile, "sha256_of", lambda _: self._made("sha256", "0" * 64))
        monkeypatch.setattr(meanwhile, "_load", lambda _: self._made("charts", None))

    def _made(self, name: str, result: object) -> object:
        self.made.append(name)
        if threading.current_thread() is not threading.main_thread():
            self.beside.append(name)
        return result


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> _Calls:
    return _Calls(monkeypatch)


def test_each_is_begun_by_its_step_and_made_once(calls: _Calls, settings: Settings) -> None:
    recorder = Recorder(Progress(), RunReport())
    recorder.meanwhile = begun = Meanwhile(settings, [])
    recorder.built("int_flow_bars", "success")
    recorder.built("int_bar_days", "success")
    recorder.published()
    assert (begun.serving_sha256(), begun.losses()) == ("0" * 64, Losses())
    begun._charts()
    assert sorted(calls.made) == sorted(calls.beside) == ["charts", "losses", "sha256"]


def test_nothing_delays_the_beginning_of_dbt(calls: _Calls, settings: Settings) -> None:
    recorder = Recorder(Progress(), RunReport())
    recorder.meanwhile = begun = Meanwhile(settings, [])
    recorder.building(7)
    assert (begun.losses(), calls.made, calls.beside) == (Losses(), ["losses"], [])


def test_what_no_step_began_is_made_where_it_is_needed(calls: _Calls, settings: Settings) -> None:
    begun = Meanwhile(settings, [])
    assert calls.made == []
    assert (begun.serving_sha256(), begun.losses()) == ("0" * 64, Losses())
    assert calls.made == ["sha256", "losses"]


def test_an_error_is_raised_where_the_result_is_needed(settings: Settings) -> None:
    begun = Meanwhile(settings, [])
    begun.readers_are_switched()
    with pytest.raises(FileNotFoundError, match=r"marts\.duckdb"):
        begun.serving_sha256()


def test_what_is_loaded_writes_nothing_and_what_cannot_be_is_left_to_the_step_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(gx, "load_great_expectations", lambda: loaded.append("here"))
    meanwhile._load(tmp_path / "report" / "index.html")
    assert loaded == []  # another process does
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(charts, "make_all", lambda: 1 / 0)
    meanwhile._load(tmp_path / "report" / "index.html")


def test_the_steps_of_a_run_have_the_judge_that_it_began(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = object()
    monkeypatch.setattr(execution, "begun_judge", lambda: nullcontext(begun))
    report = RunReport()
    with execution._session(settings, Recorder(Progress(), report), report, debug=False) as session:
        resources = session.definitions.resources or {}
        steps = session.definitions.resolve_job_def("build_and_publish").all_node_defs
    keys = {step.name: step.required_resource_keys for step in steps if isinstance(step, dg.OpDefinition)}
    assert resources["judge"] is begun
    assert all("judge" in keys[step] for step in STEPS)
