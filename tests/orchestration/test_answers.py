"""The one line that answers whether a day was unusual."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from orchestration.serving.answers import answer
from orchestration.serving.days import MarketDay, Rank
from orchestration.serving.formats import ordinal, span

BAR_AT = datetime(2026, 1, 31, 16)  # noqa: DTZ001 - marts hold naive UTC


def ranked(definition: str, name: str, rank: int | None, *, side: str = "bearish", days: int = 730) -> Rank:
    grain = {"d": "1d", "4": "4h", "h": "1h"}[definition[0]]
    unit = "sell_ratio" if "ratio" in definition else "base" if "base" in definition else "usd"
    value = (
        Decimal("0.5674") if unit == "sell_ratio" else Decimal("-1977000000") if unit == "usd" else Decimal("-25000")
    )
    return Rank(definition, name, grain, unit, days, side, BAR_AT, value, rank, 730, None, None, None)


def day(*ranks: Rank) -> MarketDay:
    return MarketDay("v:S", False, date(2026, 1, 31), Decimal(-1), Decimal(2), 0.5, None, "klines", 1.0, tuple(ranks))


DAILY, BAR = "UTC days, USD", "4-hour bars, USD"


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        (
            [ranked("4h_usd", BAR, 1), ranked("daily_usd", DAILY, 3)],
            "Yes: third-largest selling day in two years (-1,977.0 M USD, rank 3 of 730, UTC days, USD)",
        ),
        (
            [ranked("4h_usd", BAR, 2), ranked("daily_usd", DAILY, 11)],
            "Yes: second-largest selling 4-hour bar in two years "
            "(-1,977.0 M USD, rank 2 of 730, 4-hour bars, USD, bar of 2026-01-31 16:00 UTC)",
        ),
        (
            [ranked("daily_usd", DAILY, 1, side="bullish", days=90)],
            "Yes: largest buying day in 90 days (-1,977.0 M USD, rank 1 of 730, UTC days, USD)",
        ),
        (
            [ranked("daily_base", "UTC days, base asset", 10, days=365)],
            "Yes: tenth-largest selling day in a year (-25,000.00 base asset, rank 10 of 730, UTC days, base asset)",
        ),
        (
            [ranked("daily_sell_ratio", "UTC days, taker sell ratio", 2)],
            "Yes: second-highest taker sell ratio of a day in two years "
            "(0.5674, rank 2 of 730, UTC days, taker sell ratio)",
        ),
        (
            [ranked("daily_sell_ratio", "UTC days, taker sell ratio", 1, side="bullish")],
            "Yes: lowest taker sell ratio of a day in two years (0.5674, rank 1 of 730, UTC days, taker sell ratio)",
        ),
        (
            [ranked("4h_usd", BAR, 40), ranked("daily_usd", DAILY, 412)],
            "No: 412th-largest selling day in two years (-1,977.0 M USD, rank 412 of 730, UTC days, USD)",
        ),
        (
            [ranked("4h_usd", BAR, None), replace(ranked("daily_usd", DAILY, None), coverage_ratio=0.9499)],
            "Cannot tell: not ranked under daily_usd, since 94 % of the 730 days to it are covered",
        ),
        (
            [ranked("daily_usd", DAILY, None)],
            "Cannot tell: not ranked under daily_usd, since too little of the day itself is covered",
        ),
        ([], "Cannot tell: not ranked, since no definition has a bar of this day"),
    ],
)
def test_the_day_itself_in_usd_answers_or_else_the_most_extreme_bar(ranks: list[Rank], expected: str) -> None:
    assert answer(day(*ranks)) == expected


def test_ranks_and_windows_are_written_as_people_write_them() -> None:
    assert [ordinal(rank) for rank in (1, 10, 11, 12, 13, 21, 22, 23, 111, 1004)] == (
        ["first", "tenth", "11th", "12th", "13th", "21st", "22nd", "23rd", "111th", "1,004th"]
    )
    assert [span(days) for days in (730, 365, 30, 7, 90)] == ["two years", "a year", "a month", "a week", "90 days"]
