"""Schedules and sensors, over the plain functions that decide."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from ingestion.archive import plan
from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Span
from ingestion.venues import parse_market
from orchestration.automation.build_when_raw_is_newer import build_decision
from orchestration.automation.changed_source_files import requests_for, watched_tasks
from orchestration.automation.daily_ingest import daily_request
from orchestration.config.settings import Settings
from orchestration.defs.plan import archived_by_span

NOW = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
BITCOIN = parse_market("binance_um:BTCUSDT")


def partitions(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


def test_every_morning_requests_the_last_five_days_and_the_months_they_lie_in(settings: Settings) -> None:
    assert partitions(daily_request(settings.scope, Span.DAY, NOW.date())) == ("2026-02-25", "2026-03-01")
    assert partitions(daily_request(settings.scope, Span.MONTH, NOW.date())) == ("2026-02", "2026-03")


def test_of_the_two_trade_datasets_only_the_configured_one_is_requested(settings: Settings) -> None:
    assert "trades" not in archived_by_span(settings.scope)[Span.DAY]
    keys = daily_request(settings.scope, Span.DAY, NOW.date()).asset_selection or []
    assert dg.AssetKey(["raw", "aggTrades"]) in keys
    assert dg.AssetKey(["raw", "trades"]) not in keys


def test_ninety_days_are_watched_but_none_before_the_first_day(settings: Settings) -> None:
    last = date(2024, 1, 10)
    days = {task.period.first_day for task in watched_tasks(settings.scope, last) if task.period.span is Span.DAY}
    assert (min(days), max(days)) == (settings.first_day, last)
    later = watched_tasks(settings.scope, date(2024, 12, 31))
    assert min(task.first_day for task in later) == date(2024, 12, 31) - timedelta(days=89)


def test_changed_neighbours_share_one_run_per_dataset() -> None:
    agg_trades, klines = DATASETS["aggTrades"], DATASETS["klines"]
    changed = [
        *plan(agg_trades, BITCOIN, date(2026, 1, 1), date(2026, 1, 3)),
        *plan(agg_trades, BITCOIN, date(2026, 1, 9), date(2026, 1, 9)),
        *plan(klines, BITCOIN, date(2026, 1, 1), date(2026, 1, 31), interval="1h"),
    ]
    requests = requests_for(changed, NOW)
    assert [(request.job_name, partitions(request)) for request in requests] == [
        ("ingest_days", ("2026-01-01", "2026-01-03")),
        ("ingest_days", ("2026-01-09", "2026-01-09")),
        ("ingest_months", ("2026-01", "2026-01")),
    ]
    assert len({request.run_key for request in requests}) == 3


def test_a_build_is_due_when_raw_is_newer_and_nothing_is_running() -> None:
    earlier = NOW - timedelta(hours=1)
    assert build_decision(NOW, earlier, []) == NOW
    assert build_decision(NOW, None, []) == NOW
    assert build_decision(None, None, []) == "the raw zone is empty"
    assert "nothing was ingested since" in str(build_decision(earlier, NOW, []))
    assert build_decision(NOW, earlier, ["ingest_days"]) == "waiting for ingest_days"
