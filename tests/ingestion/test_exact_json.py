"""JSON of venues: fractions exact, and nothing that costs more than its own bytes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingestion.domain.exact_json import read_json


def test_fractions_are_exact_and_integers_stay_integers() -> None:
    assert read_json(b'{"p": 0.1, "q": 12, "r": 1e-8, "s": "1e999999999"}') == {
        "p": Decimal("0.1"),
        "q": 12,
        "r": Decimal("1e-8"),
        "s": "1e999999999",
    }


@pytest.mark.parametrize(
    "text",
    [
        "1e999999999",  # as a whole number a gigabyte of digits
        "-1e-999999999",
        "1e99999999999999999999",  # no Decimal at all
        "[" * 100_000,
        "9" * 5000,
        "",
        "nul",
    ],
)
def test_a_number_beyond_any_stored_one_is_refused_like_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_json(text)
