"""Faults that venues really publish, through the public command: the smallest proven loss, and never a wrong number.

Each market has one fault of a kind that users of public archives have reported; every expected number is computed here,
from the amounts that the archive's good files hold. Belongs here: what is published and what it is reported. Does not:
the archive (`tests/support/faulty_month.py`); the single rules (`tests/ingestion`, `tests/dbt`); three days of trades,
which are in the run of `test_contradicted_flow.py`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.support.commands import Taker
from tests.support.faulty_archives import MIDDLE, SEPTEMBER, net_usd, sentences
from tests.support.faulty_month import FaultyMonth

pytestmark = pytest.mark.xdist_group("published_faults")


@pytest.fixture
def month(faulty_month: FaultyMonth) -> Taker:
    return faulty_month.taker


def days_of(taker: Taker, market: str, columns: str) -> dict[date, tuple[Any, ...]]:
    rows = taker.query(f"select bar_date, {columns} from fct_net_taker_volume_daily where market_id = '{market}'")
    return {day: tuple(values) for day, *values in rows}


class TestAMonthOfBars:
    def test_with_a_wrong_checksum_is_taken_from_its_days(self, month: Taker) -> None:
        found = days_of(month, "binance_um:AAAUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (net_usd(day), 1.0) for day in SEPTEMBER}

    def test_with_one_bad_bar_takes_that_day_from_its_own_file(self, month: Taker) -> None:
        found = days_of(month, "binance_um:BBBUSDT", "net_taker_usd, coverage_ratio")
        assert found == {day: (net_usd(day), 1.0) for day in SEPTEMBER}

    def test_with_one_bad_bar_and_no_file_of_the_day_lacks_that_hour_alone(self, month: Taker) -> None:
        found = days_of(month, "binance_um:CCCUSDT", "net_taker_usd, round(coverage_ratio, 6)")
        without = net_usd(MIDDLE, [hour for hour in range(24) if hour != 7])
        expected = {day: (net_usd(day), 1.0) for day in SEPTEMBER} | {MIDDLE: (without, round(23 / 24, 6))}
        assert found == expected

    @pytest.mark.parametrize(("name", "quality"), [("AAA", "replaced_source"), ("CCC", "rows_quarantined")])
    def test_states_on_the_day_what_its_numbers_rest_on(self, month: Taker, name: str, quality: str) -> None:
        assert days_of(month, f"binance_um:{name}USDT", "flow_quality")[MIDDLE] == (quality,)

    def test_names_in_the_run_and_in_the_status_what_was_lost_and_what_was_used(
        self, faulty_month: FaultyMonth
    ) -> None:
        for text in (faulty_month.printed, sentences(faulty_month.taker, "status")):
            assert "AAAUSDT" in text
            assert "CCCUSDT" in text
            assert "2024-09-11" in text


class TestAuxiliaryData:
    def test_that_cannot_be_used_keeps_no_flow_from_being_published(self, month: Taker) -> None:
        assert days_of(month, "binance_um:DDDUSDT", "net_taker_usd")[MIDDLE] == (net_usd(MIDDLE),)

    def test_is_refused_with_the_columns_that_its_file_lacks(self, month: Taker) -> None:
        assert "DDDUSDT-metrics-2024-09-11.zip" in sentences(month, "status")

    def test_of_which_one_funding_came_two_milliseconds_early_is_whole(self, month: Taker) -> None:
        rows = month.query(
            "select bar_date, funding_rate from rpt_market_brief_daily where market_id = 'binance_um:DDDUSDT'"
        )
        assert dict(rows)[SEPTEMBER[0]] == 0.0003
        assert dict(rows)[MIDDLE] == 0.0003
