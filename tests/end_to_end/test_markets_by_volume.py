"""`TAKER_MARKETS` by pattern, from the archive's listing to published marts, on the two simulated exchanges."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingestion.simulator.simulated import simulate
from orchestration import definitions
from orchestration.cli.app import app
from orchestration.config.choices import read_choices
from orchestration.config.settings import load_settings
from orchestration.defs import choosing
from orchestration.resources import StorageResource
from tests.support.forked import fork_dbt_here

pytestmark = [pytest.mark.xdist_group("markets_by_volume"), pytest.mark.slow]
LAST_DAY = date(2026, 3, 10)
PATTERNS = "simulated:top1,simulated_b:*"
CHOSEN = ["simulated:BTCUSDT", "simulated_b:BTCUSDT"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with all of February 2026, and what the runs of this module make of it."""
    made = tmp_path_factory.mktemp("by_volume")
    simulate(made / "archive", last_day=LAST_DAY, days=45, trades_days=7, rows_per_day=300)
    return made


@pytest.fixture(autouse=True)
def house(folder: Path, no_settings_from_outside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("TAKER_ARCHIVE_URL", (folder / "archive").as_uri())
    monkeypatch.setenv("TAKER_MARKETS", PATTERNS)
    monkeypatch.setattr(choosing, "today", lambda: date(2026, 3, 11))


def test_1_nothing_is_known_of_a_pattern_before_the_first_run() -> None:
    answer = CliRunner().invoke(app, ["collect", "--seconds", "1"])
    assert answer.exit_code == 2
    assert "`simulated:top1` stands for was not chosen yet; `taker run` chooses them" in answer.stderr


def test_2_a_run_ingests_and_publishes_the_markets_that_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fork_dbt_here(monkeypatch)
    answer = CliRunner().invoke(app, ["run", "--json", "--from", "2026-03-04", "--to", str(LAST_DAY)])
    assert answer.exit_code == 0, answer.stderr
    published = [day["market_id"] for day in json.loads(answer.stdout)["markets"]]
    assert published == ["simulated:BTCUSDT", "simulated_all:BTC", "simulated_b:BTCUSDT"]
    index = StorageResource(load_settings().storage).raw_zone().index()
    assert sorted(set(index["market_id"].to_pylist())) == CHOSEN


def test_3_status_states_what_was_chosen_and_by_which_month() -> None:
    shown = " ".join(CliRunner().invoke(app, ["status"]).stdout.split())
    assert "simulated:top1: 1 of 3 markets, chosen 20" in shown
    assert "by their volume of 2026-02" in shown


def test_4_dagster_and_the_next_run_have_the_same_markets_without_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAKER_ARCHIVE_URL", "http://127.0.0.1:9")
    settings = load_settings()
    before = read_choices(settings.paths.choices)
    loaded = definitions.build_definitions(settings)
    assert settings.scope.market_ids == CHOSEN
    assert loaded.get_repository_def().has_job("ingest_days")
    choosing.choose(settings.patterns, settings.paths.choices, settings.endpoints, settings.kline_interval, pytest.fail)
    assert read_choices(settings.paths.choices) == before


def test_5_one_process_of_dagster_chooses_when_a_month_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As each of its processes does that loads the graph: the archive has no March yet, so the choice stays."""
    monkeypatch.setattr(choosing, "today", lambda: date(2026, 4, 20))
    loaded = definitions.defs()
    assert loaded is not None
    record = read_choices(load_settings().paths.choices)
    assert [choice.month for choice in record["simulated:top1"]] == ["2026-02"]
    assert load_settings().scope.market_ids == CHOSEN
