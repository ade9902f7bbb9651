"""A day of trades that cannot be those of a market has reasons, with the figures; a plausible day has none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.decode.decoder import DayFacts
from ingestion.decode.plausibility import doubts

MIDNIGHT = datetime(2026, 7, 3, tzinfo=UTC)
MARKET = DayFacts(
    rows=2000,
    buyer_maker_rows=1100,
    min_price=Decimal("43000.10"),
    max_price=Decimal("43100"),
    min_quantity=Decimal("0.001"),
    max_quantity=Decimal("3"),
    min_at=MIDNIGHT,
    max_at=MIDNIGHT + timedelta(hours=23),
    notional_mismatches=0,
)


def test_a_market_leaves_no_doubt() -> None:
    assert list(doubts(MARKET)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"buyer_maker_rows": 2000}, "the taker sold in every one of 2000 trades"),
        ({"buyer_maker_rows": 0}, "the taker bought in every one of 2000 trades"),
        ({"max_price": Decimal("43000.10")}, "every one of 2000 trades has the price 43000.1"),
        ({"max_quantity": Decimal("0.001")}, "every one of 2000 trades has the quantity 0.001"),
        ({"max_at": MIDNIGHT}, "every one of 2000 trades happened at 2026-07-03 00:00:00.000000 UTC"),
        ({"notional_mismatches": 21}, "the notional of 21 of 2000 trades is not price times quantity"),
    ],
)
def test_each_rule_names_what_cannot_be_and_the_figures(change: dict[str, object], reason: str) -> None:
    assert list(doubts(replace(MARKET, **change))) == [reason]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"buyer_maker_rows": 1999},
        {"buyer_maker_rows": 1},
        {"max_price": Decimal("43000.11")},
        {"max_at": MIDNIGHT + timedelta(microseconds=1)},
        {"notional_mismatches": 20},
        {"notional_mismatches": None},
    ],
)
def test_one_row_short_of_a_rule_is_no_doubt(change: dict[str, object]) -> None:
    assert list(doubts(replace(MARKET, **change))) == []  # type: ignore[arg-type]


ALIKE = replace(
    MARKET,
    rows=1000,
    buyer_maker_rows=1000,
    max_price=MARKET.min_price,
    max_quantity=MARKET.min_quantity,
    max_at=MIDNIGHT,
    notional_mismatches=1000,
)


def test_a_thousand_trades_are_enough_and_every_reason_is_given() -> None:
    assert len(list(doubts(ALIKE))) == 5
    fewer = replace(ALIKE, rows=999, buyer_maker_rows=999, notional_mismatches=999)
    assert list(doubts(fewer)) == []


@given(rows=st.integers(0, 10**9), takers=st.integers(0, 10**9), wrong=st.integers(0, 10**9))
def test_whatever_the_counts_are_each_doubt_is_a_sentence_and_follows_from_them(
    rows: int, takers: int, wrong: int
) -> None:
    takers, wrong = min(takers, rows), min(wrong, rows)
    facts = replace(MARKET, rows=rows, buyer_maker_rows=takers, notional_mismatches=wrong)
    found = list(doubts(facts))
    assert any("in every one of" in reason for reason in found) == (rows >= 1000 and takers in (0, rows))
    assert any("notional" in reason for reason in found) == (rows >= 1000 and wrong / rows > 0.01)
    assert all(reason and not reason.endswith(".") for reason in found)
