"""Missing days and freshness, over plain tables and a small publication."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.periods import Period
from ingestion.raw.zone import Defect, ObjectId, Receipt
from ingestion.venues import parse_market
from orchestration.checks.completeness import Gap, completeness_checks, missing_days
from orchestration.config.settings import Settings
from orchestration.resources import StorageResource
from orchestration.state.locks import Workplace
from tests.support.alerting import Marts

MARKET = "binance_um:BTCUSDT"


def index(days: Iterable[int], dataset: str = "aggTrades", interval: str = "") -> pa.Table:
    """An index of January days; the status of a day does not matter here, only that it was requested."""
    rows = [
        {"dataset": dataset, "market_id": MARKET, "interval": interval, "day": date(2026, 1, day), "status": "absent"}
        for day in days
    ]
    return pa.Table.from_pylist(rows)


def test_requested_days_are_not_missing_even_if_the_venue_has_none() -> None:
    assert missing_days(index([1, 2, 3])) == []


def test_days_between_first_and_last_that_were_never_requested_are_gaps() -> None:
    assert missing_days(index([5, 1, 2, 9])) == [
        Gap("aggTrades", MARKET, "", date(2026, 1, 3), date(2026, 1, 4)),
        Gap("aggTrades", MARKET, "", date(2026, 1, 6), date(2026, 1, 8)),
    ]


def test_each_dataset_and_interval_is_checked_separately() -> None:
    both = pa.concat_tables([index([1, 3], "klines", "1h"), index([1, 2, 3], "klines", "4h")])
    assert [(gap.interval, gap.days) for gap in missing_days(both)] == [("1h", 1)]


@given(st.lists(st.tuples(st.sampled_from(["aggTrades", "klines", "liveTrades"]), st.integers(1, 31)), max_size=30))
def test_a_gap_is_every_day_between_two_requested_ones_that_was_not_requested(rows: list[tuple[str, int]]) -> None:
    tables = [index([day], dataset) for dataset, day in rows]
    table = pa.concat_tables(tables) if tables else index([1]).slice(0, 0)
    missing = [(gap.dataset, gap.first_day.day + later) for gap in missing_days(table) for later in range(gap.days)]
    requested = {name: {day for dataset, day in rows if dataset == name} for name in ("aggTrades", "klines")}
    assert missing == [
        (name, day)
        for name, days in requested.items()
        for day in range(min(days, default=1), max(days, default=0) + 1)
        if day not in days
    ]


def fresh(settings: Settings) -> dg.AssetCheckResult:
    (check,) = [
        each
        for each in completeness_checks(settings.paths.serving, settings.scope.market_ids)
        if each.check_key.name == "is_fresh"
    ]
    result = check()
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_a_market_without_its_newest_day_is_a_warning_that_states_how_far_behind_it_is(settings: Settings) -> None:
    today = datetime.now(UTC).date()
    marts = Marts(settings.paths.serving).day(today - timedelta(days=4))
    marts.publish()
    result = fresh(settings)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"its newest published day is {today - timedelta(days=4)}" in str(result.description)
    marts.day(today - timedelta(days=1)).publish()
    assert fresh(settings).passed


def unused_data(settings: Settings, *defects: Defect) -> dg.AssetCheckResult:
    """The check over a raw zone of one object with these defects."""
    zone = StorageResource(settings.storage).raw_zone()
    market = parse_market(MARKET)
    period = Period.of_day(date(2026, 1, 5))
    receipt = Receipt(
        "metrics", market.venue, market.symbol, "", period.label, "refused", period.first_day, period.last_day,
        datetime(2026, 1, 6, tzinfo=UTC), 1, defects=defects,
    )  # fmt: skip
    zone.put(ObjectId("metrics", market, "", period), None, receipt)
    zone.write_index()
    (check,) = [
        each
        for each in completeness_checks(settings.paths.serving, settings.scope.market_ids)
        if each.check_key.name == "no_unused_data"
    ]
    result = check(storage=StorageResource(settings.storage), workplace=Workplace(settings.paths))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_what_was_published_and_not_used_is_a_warning_with_one_row_for_each(settings: Settings) -> None:
    day = date(2026, 1, 5)
    result = unused_data(
        settings,
        Defect("quarantined_rows", "no number", day, rows=12, source_key="a/metrics.zip"),
        Defect("refused_source", "not a zip", day, source_key="a/other.zip"),
    )
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert result.description == "12 row(s) set aside, 1 file(s) refused: binance_um:BTCUSDT metrics"
    table = result.metadata["unused"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data for record in table.records] == [
        {
            "dataset": "metrics",
            "market": MARKET,
            "day": "2026-01-05",
            "kind": kind,
            "reason": reason,
            "rows": rows,
            "file": file,
            "used_instead": "",
        }
        for kind, reason, rows, file in (
            ("set aside", "no number", 12, "a/metrics.zip"),
            ("refused", "not a zip", 0, "a/other.zip"),
        )
    ]


def test_where_everything_was_used_the_check_passes(settings: Settings) -> None:
    result = unused_data(settings)
    assert (result.passed, result.description) == (True, "none")
