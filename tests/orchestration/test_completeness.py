"""Missing days and freshness, over plain tables and days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pyarrow as pa

from orchestration.checks.completeness import Gap, missing_days, stale_markets

MARKET = "binance_um:BTCUSDT"


def index(days: Iterable[int], dataset: str = "aggTrades", interval: str = "") -> pa.Table:
    """An index of January days; what became of a day does not matter here, only that it was asked for."""
    rows = [
        {"dataset": dataset, "market_id": MARKET, "interval": interval, "day": date(2026, 1, day), "status": "absent"}
        for day in days
    ]
    return pa.Table.from_pylist(rows)


def test_days_that_were_asked_for_are_not_missing_even_if_the_venue_has_none() -> None:
    assert missing_days(index([1, 2, 3])) == []


def test_days_between_first_and_last_that_were_never_asked_for_are_gaps() -> None:
    assert missing_days(index([5, 1, 2, 9])) == [
        Gap("aggTrades", MARKET, "", date(2026, 1, 3), date(2026, 1, 4)),
        Gap("aggTrades", MARKET, "", date(2026, 1, 6), date(2026, 1, 8)),
    ]


def test_each_dataset_and_interval_is_looked_at_by_itself() -> None:
    both = pa.concat_tables([index([1, 3], "klines", "1h"), index([1, 2, 3], "klines", "4h")])
    assert [(gap.interval, gap.days) for gap in missing_days(both)] == [("1h", 1)]


def test_a_market_is_stale_when_its_newest_day_is_not_yesterday() -> None:
    yesterday = date(2026, 1, 10)
    found = stale_markets([("a", yesterday), ("b", date(2026, 1, 8)), ("c", None)], yesterday)
    assert found == {"b": "2026-01-08, 2 day(s) behind 2026-01-10", "c": "no published day"}
