"""Of a request, those partitions go to Dagster in which something is to be done."""

from __future__ import annotations

from datetime import date

from ingestion.archive import Known, Outcome, Status, plan
from ingestion.domain.datasets import AGG_TRADES, KLINES, METRICS
from ingestion.domain.periods import Span
from ingestion.venues import parse_market
from orchestration.runs.comparison import Comparison
from orchestration.runs.ranges import IngestRange

BTC, ETH = parse_market("binance_um:BTCUSDT"), parse_market("binance_um:ETHUSDT")
FIRST, LAST = date(2024, 1, 1), date(2024, 6, 30)
MONTHS = IngestRange(("klines",), Span.MONTH, FIRST, LAST)
DAYS = IngestRange(("aggTrades", "metrics"), Span.DAY, FIRST, LAST)


def compared(*due: tuple[str, str, str], status: Status = "due") -> Comparison:
    """Everything of both markets is unchanged but these: dataset, symbol, period."""
    tasks = [
        task
        for market in (BTC, ETH)
        for dataset in (AGG_TRADES, METRICS, KLINES)
        for task in plan(dataset, market, FIRST, LAST, interval="1h" if dataset is KLINES else "")
    ]
    is_due = {id(task): (task.dataset.name, task.market.symbol, task.period.label) in due for task in tasks}
    found = Comparison.__new__(Comparison)
    found.known = [Known(task.dataset.name, task.period, "unchanged") for task in tasks if not is_due[id(task)]]
    found.outcomes = [Outcome(task, status, None) for task in tasks if is_due[id(task)]]
    return found


def test_nothing_goes_where_nothing_is_to_be_done() -> None:
    found = compared()
    assert not found.is_due
    assert found.due([MONTHS, DAYS]) == []
    assert found.beside([]) == (found.known, [])


def test_a_partition_goes_whole_and_of_the_datasets_that_differ_alone() -> None:
    found = compared(("metrics", "ETHUSDT", "2024-03-05"), ("klines", "BTCUSDT", "2024-06"))
    parts = found.due([MONTHS, DAYS])
    assert parts == [
        IngestRange(("klines",), Span.MONTH, date(2024, 6, 1), date(2024, 6, 30)),
        IngestRange(("metrics",), Span.DAY, date(2024, 3, 5), date(2024, 3, 5)),
    ]
    known, looked_at = found.beside(parts)
    others = {(each.dataset, each.period.label) for each in known}
    assert ("metrics", "2024-03-05") not in others
    assert {("aggTrades", "2024-03-05"), ("metrics", "2024-03-06"), ("klines", "2024-05")} <= others
    # Two partitions of two markets are carried out.
    assert (len(known), looked_at) == (len(found.known) - 2, [])


def test_what_lies_close_together_goes_at_once_and_what_lies_apart_does_not() -> None:
    days = ("2024-01-02", "2024-01-20", "2024-02-20", "2024-05-01")
    found = compared(*(("aggTrades", "BTCUSDT", day) for day in days))
    assert [(part.first_day, part.last_day) for part in found.due([DAYS])] == [
        (date(2024, 1, 2), date(2024, 2, 20)),
        (date(2024, 5, 1), date(2024, 5, 1)),
    ]


def test_the_days_of_a_month_are_those_that_were_requested() -> None:
    wanted = IngestRange(("klines",), Span.MONTH, date(2024, 1, 15), date(2024, 6, 10))
    found = compared(("klines", "BTCUSDT", "2024-01"), ("klines", "BTCUSDT", "2024-06"))
    assert [(part.first_day, part.last_day) for part in found.due([wanted])] == [
        (date(2024, 1, 15), date(2024, 1, 31)),
        (date(2024, 6, 1), date(2024, 6, 10)),
    ]


def test_what_could_not_be_compared_is_tried_again() -> None:
    found = compared(("metrics", "ETHUSDT", "2024-03-05"), status="failed")
    assert found.is_due
    assert [part.datasets for part in found.due([DAYS])] == [("metrics",)]
