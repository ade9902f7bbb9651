"""Partitions: keys, the days they stand for, and unbroken ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ingestion.domain.periods import Period
from orchestration.defs.partitions import days_of, key_ranges, period_of, trading_days, trading_months

FIRST = date(2026, 1, 30)
NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)


def test_days_run_from_the_first_day_to_yesterday() -> None:
    assert trading_days(FIRST).get_partition_keys(NOW) == ["2026-01-30", "2026-01-31", "2026-02-01"]


def test_months_run_from_that_of_the_first_day_to_the_running_one() -> None:
    assert trading_months(FIRST).get_partition_keys(NOW) == ["2026-01", "2026-02"]


def test_windows_are_half_open_utc() -> None:
    window = trading_days(FIRST).time_window_for_partition_key("2026-01-31")
    assert (window.start, window.end) == (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    window = trading_months(FIRST).time_window_for_partition_key("2026-02")
    assert (window.start, window.end) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


def test_a_key_is_the_label_of_its_period() -> None:
    for key in ("2024-02", "2024-02-29"):
        assert period_of(key).label == key


def test_days_of_partitions_are_clipped_to_what_is_wanted() -> None:
    assert days_of({"2026-01", "2026-02"}, FIRST, date(2026, 2, 1)) == (FIRST, date(2026, 2, 1))
    assert days_of({"2026-01-30"}, date(2020, 1, 1), date(2026, 2, 1)) == (FIRST, FIRST)


def test_on_the_first_day_of_a_month_nothing_of_that_month_is_requested() -> None:
    assert days_of({"2026-02"}, FIRST, date(2026, 1, 31)) is None


def test_neighbours_share_a_range_and_a_hole_splits_it() -> None:
    days = [Period.of_day(date(2026, 1, day)) for day in (31, 3, 1, 2, 2)]
    assert key_ranges(days) == [("2026-01-01", "2026-01-03"), ("2026-01-31", "2026-01-31")]
    months = [Period.of_month(date(2026, month, 1)) for month in (1, 2, 4)]
    assert key_ranges(months) == [("2026-01", "2026-02"), ("2026-04", "2026-04")]
