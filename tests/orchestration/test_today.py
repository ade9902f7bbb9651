"""When `taker run` asks for today: whenever no last day is given, of the venues whose api may be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.archive import Outcome, Task
from ingestion.domain.datasets import REST_TRADES
from ingestion.domain.errors import VenueRefused
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.raw.zone import Defect, Receipt
from orchestration import wiring
from orchestration.config.settings import Settings, load_settings, yesterday
from orchestration.defs.recent import ASKED_KEYS, HEARD_KEYS
from orchestration.progress import Progress
from orchestration.runs import execution
from orchestration.warehouse import dbt


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """The jobs that a run executes, with the assets selected of each; nothing is loaded, and none does any work."""
    jobs: list[tuple[str, set[str]]] = []

    def record(definitions: Any, job: str, instance: Any, report: Any, **options: Any) -> None:
        jobs.append((job, {key.path[-1] for key in options.get("asset_selection") or ()}))

    monkeypatch.setattr(execution, "_execute", record)
    monkeypatch.setattr(dbt, "ensure_manifest", lambda settings: None)
    monkeypatch.setattr(wiring, "build_definitions", lambda *arguments, **options: None)
    return jobs


def settings_with(tmp_path: Path, **more: Any) -> Settings:
    (tmp_path / "archive").mkdir(exist_ok=True)
    return load_settings(
        archive_url=(tmp_path / "archive").as_uri(),
        storage_url=str(tmp_path / "var"),
        first_day=yesterday() - timedelta(days=3),
        **more,
    )


def names(keys: Any) -> set[str]:
    return {key.path[-1] for key in keys}


def test_archive_first_then_today_then_the_build(tmp_path: Path, executed: list[tuple[str, set[str]]]) -> None:
    execution.run(settings_with(tmp_path, venue_urls="binance_um.rest=http://127.0.0.1:9"))
    jobs = [job for job, _ in executed]
    assert jobs[-2:] == ["ingest_today", "build_and_publish"]
    assert set(jobs[:-2]) == {"ingest_months", "ingest_days"}
    assert executed[-2][1] == names(ASKED_KEYS)


def test_whoever_names_the_last_day_does_not_want_today(tmp_path: Path, executed: list[tuple[str, set[str]]]) -> None:
    settings = settings_with(tmp_path, venue_urls="binance_um.rest=http://127.0.0.1:9")
    execution.run(settings, None, yesterday())
    assert "ingest_today" not in {job for job, _ in executed}


def test_what_the_collector_heard_is_sealed_where_there_is_a_collector(
    tmp_path: Path, executed: list[tuple[str, set[str]]]
) -> None:
    settings = settings_with(tmp_path)
    settings.spool_dir.mkdir(parents=True)
    execution.run(settings)
    assert executed[-2] == ("ingest_today", names(HEARD_KEYS))


def test_a_mirror_of_the_archive_alone_stays_alone(tmp_path: Path) -> None:
    assert execution._today_keys(settings_with(tmp_path)) == []
    assert execution._today_keys(settings_with(tmp_path, rest="on")) == list(ASKED_KEYS)
    asked = settings_with(tmp_path, rest="off", venue_urls="binance_um.rest=http://127.0.0.1:9")
    assert execution._today_keys(asked) == []


@pytest.mark.parametrize(
    ("status", "sha256", "goes_on"), [("stored", "ab" * 32, True), ("stored", "", False), ("refused", "ab" * 32, False)]
)
def test_a_refused_file_ends_no_run_where_a_former_version_stays_in_use(
    status: str, sha256: str, goes_on: bool
) -> None:
    report = execution.RunReport()
    recorder = execution._Recorder(Progress(), report)
    day = yesterday()
    task = Task(REST_TRADES, Market.parse("binance_um:BTCUSDT"), "", Period.of_day(day), day, day)
    receipt = Receipt(
        "restTrades",
        "binance_um",
        "BTCUSDT",
        "",
        str(day),
        status,  # type: ignore[arg-type]
        day,
        day,
        datetime.now(UTC),
        1,
        defects=(Defect("refused_source", "no zip", source_key="a.zip", source_sha256=sha256),),
    )
    recorder.ingested(Outcome(task, "refused", receipt, VenueRefused("no zip")))
    assert report.nothing_came is not goes_on


def test_a_fault_that_many_objects_share_is_told_once() -> None:
    report = execution.RunReport()
    recorder = execution._Recorder(Progress(), report)
    market = Market.parse("binance_um:BTCUSDT")
    for back in range(3):
        day = yesterday() - timedelta(days=back)
        task = Task(REST_TRADES, market, "", Period.of_day(day), day, day)
        recorder.ingested(Outcome(task, "failed", None, VenueRefused("banned" if back else "something else")))
    (first, _), (second, fault) = report.failed_objects
    assert first == f"binance_um:BTCUSDT restTrades {yesterday()}"
    assert second == f"binance_um:BTCUSDT restTrades {yesterday() - timedelta(days=1)} and 1 more"
    assert fault == "banned"
    assert report.outcomes["failed"] == 3
