"""A UTC day as people write it."""

from __future__ import annotations

from datetime import date

import pytest

from orchestration.serving.written_days import NoDay, day_from

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-01-31", date(2026, 1, 31)),
        ("today", TODAY),
        ("Yesterday", date(2026, 2, 28)),
        ("-7d", date(2026, 2, 22)),
        ("-0d", TODAY),
        ("-99999d", date(1752, 5, 17)),
    ],
)
def test_a_day_is_a_date_or_relative_to_today(text: str, day: date) -> None:
    assert day_from(text, TODAY) == day


@pytest.mark.parametrize("text", ["", "2026-02-30", "-7", "7d", "tomorrow", "-99999999d", "31.01.2026", "²d"])
def test_what_is_no_day_states_how_to_write_one(text: str) -> None:
    with pytest.raises(NoDay, match=r"is not a day; write YYYY-MM-DD, `yesterday`, `today` or `-7d`"):
        day_from(text, TODAY)
