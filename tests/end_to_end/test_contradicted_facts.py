"""Wrong facts with valid checksums, through the public command: open interest, fundings and liquidations.

Each day has one fault that its market's other data contradict; what is expected of the good days around it is computed
here. Belongs here: what is published and stated of such a day. Does not: the archive (`tests/support/faulty_month.py`);
the single rules and their tolerances (dbt unit tests); wrong trades and bars.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.support.commands import Taker
from tests.support.faulty_archives import SEPTEMBER
from tests.support.faulty_month import (
    CONTRADICTED,
    ELSEWHERE,
    GLITCH,
    INVERSE,
    LARGE,
    LATEST,
    LINEAR,
    MANY,
    NAMED,
    OTHER,
    RATE,
    RELABELLED,
    REVERSED,
    THOUSANDFOLD,
    WORTH,
    FaultyMonth,
)

pytestmark = pytest.mark.xdist_group("published_faults")

BLOCKED = "In conflict with other data and not used: "


@pytest.fixture
def published(faulty_month: FaultyMonth) -> Taker:
    return faulty_month.taker


def briefs(taker: Taker, market: str, columns: str) -> dict[date, tuple[Any, ...]]:
    rows = taker.query(f"select bar_date, {columns} from rpt_market_brief_daily where market_id = '{market}'")
    return {day: tuple(values) for day, *values in rows}


@pytest.mark.parametrize(
    ("market", "day", "figures"),
    [
        (LINEAR, THOUSANDFOLD, "open interest of 300000.0 base is of a day that stands between 300.0 before and 300.0"),
        (LINEAR, WORTH, "is worth 30000000.0 USD, 100000.0 a unit, and the market traded at 99.0 to 101.0"),
        (LINEAR, GLITCH, "open interest of 3000.0 base stands between 300.0 before and 300.0 after it"),
        (LINEAR, LATEST, "open interest of 300000.0 base differs from 3000.0 of 2024-09-18 by more than the 5760.0"),
        (OTHER, RELABELLED, "is worth 168000.0 USD, 42000.0 a unit, and the market traded at 99.0 to 101.0"),
    ],
    ids=["thousandfold", "worth", "glitch", "latest", "another_symbol"],
)
def test_open_interest_that_other_data_contradict_is_not_stated(
    published: Taker, market: str, day: date, figures: str
) -> None:
    base, usd, conflict, headline = briefs(
        published, market, "open_interest, open_interest_usd, open_interest_conflict, headline"
    )[day]

    assert (base, usd) == (None, None)
    assert figures in conflict
    assert BLOCKED + "open interest." in headline


def test_rows_that_name_another_symbol_are_refused_with_file_row_and_value(published: Taker) -> None:
    assert briefs(published, OTHER, "open_interest, open_interest_conflict")[NAMED] == (None, None)
    status = published.run("status")
    text = " ".join((status.stdout + status.stderr).split())
    assert f"FFFUSDT-metrics-{NAMED}.zip" in text
    assert "`symbol` is not FFFUSDT in 288 rows, first at row 1: `EEEUSDT`" in text


def test_a_funding_that_no_venue_charges_leaves_the_day_without_a_rate(published: Taker) -> None:
    found = briefs(published, LINEAR, "funding_rate, funding_conflict, headline")
    rate, conflict, headline = found[RATE]

    assert rate is None
    assert conflict.startswith(f"{RATE} 08:00:00 funding rate 0.9 is beyond the 0.05")
    assert BLOCKED + "a funding." in headline
    assert {found[day][:2] for day in SEPTEMBER if day != RATE} == {(0.0003, None)}


@pytest.mark.parametrize(
    ("day", "longs", "orders_in_conflict", "coverage", "figures"),
    [
        (LARGE, 600, 1, 1439 / 1440, "BUY of 5000.0 at 100.0 is worth 500000.0 USD, takers of its side traded 4000.0"),
        (REVERSED, None, 3, 0, "BUY of 2.0 at 99.5 is above its limit of 99.4"),
        (ELSEWHERE, 600, 1, 1439 / 1440, "BUY of 2.0 at 1000.0 (1000.0 a unit), the market traded at 99.0 to 101.0"),
        (MANY, 600, 4, 23 / 24, "all BUY orders of the hour are worth 6000.0 USD, takers of that side traded 4000.0"),
    ],
    ids=["one_order", "sides", "price", "hour"],
)
def test_liquidations_that_their_market_contradicts_are_in_no_total_and_uncovered(
    published: Taker, day: date, longs: int | None, orders_in_conflict: int, coverage: float, figures: str
) -> None:
    ((*found, ratio, is_lower_bound, conflict),) = published.query(
        "select long_usd, coalesce(short_usd, 0), conflicting_order_count, coverage_ratio, is_lower_bound, "
        f"first_conflict from fct_liquidations_daily where market_id = '{INVERSE}' and bar_date = date '{day}'"
    )
    stated, headline = briefs(published, INVERSE, "liquidations_conflict, headline")[day]

    assert found == [None if longs is None else Decimal(longs), 0, orders_in_conflict]
    assert (round(ratio, 9), is_lower_bound) == (round(coverage, 9), True)
    assert figures in conflict
    assert stated == conflict
    assert BLOCKED + "liquidations." in headline


def test_what_nothing_contradicts_stays_as_published(published: Taker) -> None:
    faulty = {THOUSANDFOLD, WORTH, GLITCH, LATEST}
    found = briefs(published, LINEAR, "open_interest, open_interest_usd, open_interest_conflict")
    assert {found[day] for day in CONTRADICTED if day not in faulty} == {(Decimal(300), Decimal(30_000), None)}
    days = published.query(
        "select bar_date, long_usd, short_usd, coverage_ratio, conflicting_order_count, first_conflict "
        f"from fct_liquidations_daily where market_id = '{INVERSE}' and coverage_ratio = 1"
    )
    assert {row[0] for row in days} == set(CONTRADICTED) - {LARGE, REVERSED, ELSEWHERE, MANY}
    assert {tuple(row[1:]) for row in days} == {(Decimal(600), Decimal(0), 1.0, 0, None)}
