"""When `taker run` fetches today: whenever no last day is given, from the venues whose API may be called."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingestion.archive import Outcome, Task
from ingestion.domain.datasets import REST_TRADES
from ingestion.domain.errors import VenueRefused
from ingestion.domain.periods import Period
from ingestion.raw.zone import Defect, Receipt
from ingestion.venues import parse_market
from orchestration import definitions
from orchestration.config.settings import Settings, load_settings, yesterday
from orchestration.defs.recent import API_DATASET_KEYS, FEED_DATASET_KEYS
from orchestration.progress import Progress
from orchestration.runs import execution
from orchestration.runs.ranges import today_keys
from orchestration.runs.report import Recorder, RunReport
from orchestration.warehouse import dbt
from orchestration.warehouse.audit.gx import HERE


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, set[str]]]:
    """The jobs that a run executes, with the assets selected of each; nothing is loaded, and none does any work."""
    jobs: list[tuple[str, set[str]]] = []

    def record(session: Any, job: str, **options: Any) -> None:
        jobs.append((job, {key.path[-1] for key in options.get("keys") or ()}))

    monkeypatch.setattr(execution, "_execute", record)
    monkeypatch.setattr(execution, "begun_judge", lambda: nullcontext(HERE))
    monkeypatch.setattr(dbt, "ensure_manifest", lambda config: None)
    monkeypatch.setattr(definitions, "build_definitions", lambda *arguments, **options: None)
    return jobs


def settings_with(tmp_path: Path, **more: Any) -> Settings:
    (tmp_path / "archive").mkdir(exist_ok=True)
    return load_settings(
        archive_url=(tmp_path / "archive").as_uri(),
        storage_url=str(tmp_path / "var"),
        first_day=yesterday() - timedelta(days=3),
        **more,
    )


def fetched(settings: Settings) -> list[dg.AssetKey]:
    return today_keys(settings.endpoints, settings.paths.spool)


def names(keys: Any) -> set[str]:
    return {key.path[-1] for key in keys}


def test_archive_first_then_today_then_the_build(tmp_path: Path, executed: list[tuple[str, set[str]]]) -> None:
    execution.run(settings_with(tmp_path, venue_urls="binance_um.rest=http://127.0.0.1:9"))
    jobs = [job for job, _ in executed]
    assert jobs[-2:] == ["ingest_today", "build_and_publish"]
    assert set(jobs[:-2]) == {"ingest_months", "ingest_days"}
    assert executed[-2][1] == names(API_DATASET_KEYS)


@pytest.mark.usefixtures("executed")
def test_one_graph_serves_every_run_and_run_config_limits_the_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[Any] = []
    limits: list[tuple[str, str]] = []

    def limited(session: Any, job: str, *, config: Any = None, **options: Any) -> None:
        if job.startswith("ingest"):
            limits.extend(tuple(op["config"].values()) for op in config["ops"].values())

    monkeypatch.setattr(definitions, "build_definitions", lambda *arguments, **options: graphs.append(arguments))
    monkeypatch.setattr(execution, "_execute", limited)
    first, last = yesterday() - timedelta(days=9), yesterday() - timedelta(days=5)
    execution.run(settings_with(tmp_path), first, last)
    assert set(limits) == {(first.isoformat(), last.isoformat())}
    ((settings, *_),) = graphs
    assert settings.first_day == first


def test_a_request_with_a_last_day_does_not_fetch_today(tmp_path: Path, executed: list[tuple[str, set[str]]]) -> None:
    settings = settings_with(tmp_path, venue_urls="binance_um.rest=http://127.0.0.1:9")
    execution.run(settings, None, yesterday())
    assert "ingest_today" not in {job for job, _ in executed}


def test_what_the_collector_received_is_sealed_where_there_is_a_collector(
    tmp_path: Path, executed: list[tuple[str, set[str]]]
) -> None:
    settings = settings_with(tmp_path)
    settings.paths.spool.mkdir(parents=True)
    execution.run(settings)
    assert executed[-2] == ("ingest_today", names(FEED_DATASET_KEYS))


def test_with_a_mirror_of_the_archive_alone_no_api_is_called(tmp_path: Path) -> None:
    assert fetched(settings_with(tmp_path)) == []
    assert fetched(settings_with(tmp_path, rest="on")) == list(API_DATASET_KEYS)
    off = settings_with(tmp_path, rest="off", venue_urls="binance_um.rest=http://127.0.0.1:9")
    assert fetched(off) == []


@pytest.mark.parametrize(
    ("status", "sha256", "goes_on"), [("stored", "ab" * 32, True), ("stored", "", False), ("refused", "ab" * 32, False)]
)
def test_a_refused_file_ends_no_run_where_a_former_version_stays_in_use(
    status: str, sha256: str, goes_on: bool
) -> None:
    report = RunReport()
    recorder = Recorder(Progress(), report)
    day = yesterday()
    task = Task(REST_TRADES, parse_market("binance_um:BTCUSDT"), "", Period.of_day(day), day, day)
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
    assert report.nothing_ingested is not goes_on


def test_a_fault_that_many_objects_share_is_listed_once() -> None:
    report = RunReport()
    recorder = Recorder(Progress(), report)
    market = parse_market("binance_um:BTCUSDT")
    for back in range(3):
        day = yesterday() - timedelta(days=back)
        task = Task(REST_TRADES, market, "", Period.of_day(day), day, day)
        recorder.ingested(Outcome(task, "failed", None, VenueRefused("banned" if back else "something else")))
    (first, _), (second, fault) = report.failed_objects
    assert first == f"binance_um:BTCUSDT restTrades {yesterday()}"
    assert second == f"binance_um:BTCUSDT restTrades {yesterday() - timedelta(days=1)} and 1 more"
    assert fault == "banned"
    assert report.outcomes["failed"] == 3
