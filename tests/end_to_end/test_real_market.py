"""Recorded Binance data through the public command: the numbers that the news was about.

The archive is laid out from `../shared/data/real` by the tool beside it; without them these tests skip and say so.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Taker

BTC = "binance_um:BTCUSDT"

pytestmark = pytest.mark.xdist_group("real_market")


@pytest.fixture(scope="module")
def by_default(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Taker, str]:
    """The days of the default window as it was on 2026-11-28, fewer than two years with bars; and what was printed.

    Klines of 4h alone, with the aggregated trades where the archive has them.
    """
    settings = {"TAKER_ARCHIVE_URL": mirror, "TAKER_KLINE_INTERVAL": "4h", "TAKER_REST": "off"}
    taker = Taker(tmp_path_factory.mktemp("by_default"), settings)
    done = taker.run("run", "--markets", BTC, "--from", "2024-10-29", "--to", "2026-07-30")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return taker, done.stdout


def daily(taker: Taker, day: str, columns: str) -> tuple[Any, ...]:
    (row,) = taker.query(
        f"select {columns} from fct_net_taker_volume_daily where market_id = '{BTC}' and bar_date = date '{day}'"
    )
    return row


def ranked(taker: Taker, definition: str, bar: str, columns: str = "spike_rank, window_bars") -> tuple[Any, ...]:
    (row,) = taker.query(
        f"select {columns} from fct_taker_spike_ranks where market_id = '{BTC}' and side = 'bearish' "
        f"and definition_id = '{definition}' and bar_at = timestamp '{bar}'"
    )
    return row


class TestTheDayInTheNews:
    def test_sold_1_598_billion_dollars_net(self, cross_checked: Taker, by_default: tuple[Taker, str]) -> None:
        """By bars of 4h beside those of a day, and by bars of 4h alone."""
        for taker in (cross_checked, by_default[0]):
            assert daily(taker, "2026-01-31", "net_taker_usd, flow_source, coverage_ratio") == (
                Decimal("-1598330009.658"),
                "klines",
                1.0,
            )

    @pytest.mark.parametrize(("definition", "rank"), [("daily_usd", 10), ("daily_base", 11), ("daily_sell_ratio", 6)])
    def test_was_not_third_by_day(self, cross_checked: Taker, definition: str, rank: int) -> None:
        assert ranked(cross_checked, definition, "2026-01-31") == (rank, 730)

    def test_was_third_by_four_hours_in_dollars(self, cross_checked: Taker) -> None:
        columns = "spike_rank, window_bars, is_event, event_rank"
        assert ranked(cross_checked, "4h_usd", "2026-01-31 16:00", columns) == (3, 4380, True, 3)

    def test_stood_behind_october_2025_and_march_2024(self, cross_checked: Taker) -> None:
        assert ranked(cross_checked, "daily_usd", "2025-10-10", "spike_rank") == (1,)
        events = cross_checked.query(
            f"select cast(bar_at as date), event_rank from fct_taker_spike_ranks where market_id = '{BTC}' "
            "and definition_id = '4h_usd' and side = 'bearish' and is_event "
            "and bar_at > timestamp '2024-02-01' and bar_at <= timestamp '2026-01-31 16:00' order by value limit 3"
        )
        assert [day for day, _ in events] == [date(2025, 10, 10), date(2024, 3, 5), date(2026, 1, 31)]


def test_every_requested_day_is_published_and_none_after(cross_checked: Taker) -> None:
    assert cross_checked.query("select min(bar_date), max(bar_date), count(*) from fct_net_taker_volume_daily") == [
        (date(2022, 1, 1), date(2026, 7, 30), 1672)
    ]


def test_four_hour_bars_make_no_hourly_ones(cross_checked: Taker, by_default: tuple[Taker, str]) -> None:
    for taker in (cross_checked, by_default[0]):
        assert taker.query("select count(*) from fct_net_taker_volume_hourly") == [(0,)]


class TestTheClaimsOfTheNews:
    @pytest.mark.parametrize(
        ("claim", "definition", "holds", "ranks"),
        [
            ("third-largest", "4h_usd", True, (3, 3)),
            ("third-largest", "daily_usd", False, (10, 9)),
            ("third-largest", "daily_base", False, (11, 11)),
            ("largest-in-october", "4h_usd", True, (1, 1)),
            ("second-in-october", "4h_usd", False, (1, 1)),
            ("second-in-october", "daily_usd", False, (1, 1)),
        ],
    )
    def test_are_judged_by_the_definition(
        self, cross_checked: Taker, claim: str, definition: str, holds: bool, ranks: tuple[int, int]
    ) -> None:
        assert cross_checked.query(
            "select holds, actual_rank, actual_event_rank from fct_claim_verdicts "
            f"where claim_id = 'news-2026-02-03-{claim}' and definition_id = '{definition}'"
        ) == [(holds, *ranks)]

    def test_are_wrong_about_the_second_largest_which_was_in_march_2024(self, cross_checked: Taker) -> None:
        ((sentence,),) = cross_checked.query(
            "select verdict_sentence from fct_claim_verdicts "
            "where claim_id = 'news-2026-02-03-second-in-october' and definition_id = '4h_usd'"
        )
        assert "that rank among events is held by 2024-03-05 16:00" in sentence

    @pytest.mark.parametrize(("rank", "code"), [(3, 0), (4, 1)])
    def test_are_answered_by_the_command_too(self, cross_checked: Taker, rank: int, code: int) -> None:
        done = cross_checked.run("claim", f"BTCUSDT 2026-01-31 bearish rank {rank} in 730 days")
        assert done.returncode == code, done.stdout


class TestLessThanTwoYears:
    """The default window: no definition's window is covered by 95 %, so nothing is ranked. Everything is published."""

    def test_are_published(self, by_default: tuple[Taker, str]) -> None:
        taker, _ = by_default
        # The mirror has no file of a single day, so October's last three days bring the whole of its month.
        assert taker.query("select min(bar_date), max(bar_date), count(*) from fct_net_taker_volume_daily") == [
            (date(2024, 10, 1), date(2026, 7, 30), 668)
        ]
        assert taker.query("select count(spike_rank) from fct_taker_spike_ranks") == [(0,)]

    def test_leave_every_claim_open_and_without_a_reason(self, by_default: tuple[Taker, str]) -> None:
        taker, _ = by_default
        assert taker.query("select distinct holds, holds_by from fct_claim_verdicts") == [(None, None)]
        assert taker.query(
            "select count(*) from fct_claim_verdicts where verdict_sentence not like 'Cannot tell%'"
        ) == [(0,)]

    def test_are_shown_without_a_rank_on_the_side_of_their_values(self, by_default: tuple[Taker, str]) -> None:
        _, printed = by_default
        assert "not ranked under daily_usd, since 91 % of the 730 days to it are covered" in printed
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
        assert {(definition, side, rank) for _, definition, side, _, _, rank, *_ in rows} == {
            (definition, "bullish", "–")
            for definition in ("daily_usd", "daily_base", "daily_sell_ratio", "4h_usd", "4h_base", "4h_ma2_usd")
        }


class TestAPartialDayOfTrades:
    def test_sums_to_what_was_recorded(self, cross_checked: Taker) -> None:
        (sums,) = cross_checked.query(
            "select trades_volume_usd, trades_net_usd from fct_flow_reconciliation_daily "
            f"where market_id = '{BTC}' and bar_date = date '2024-08-08'"
        )
        volume, net = sums
        buy, sell = (volume + net) / 2, (volume - net) / 2
        assert (round(buy, 2), round(sell, 2)) == (Decimal("77197396.65"), Decimal("72648284.24"))

    def test_is_called_incomplete_and_the_day_still_comes_from_klines(self, cross_checked: Taker) -> None:
        assert cross_checked.query(
            "select verdict from fct_flow_reconciliation_daily where bar_date = date '2024-08-08'"
        ) == [("trades_incomplete",)]
        source, volume = daily(cross_checked, "2024-08-08", "flow_source, volume_usd")
        assert source == "klines"
        assert volume > 10_000_000_000

    def test_is_shown_as_partial(self, cross_checked: Taker) -> None:
        (series,) = [s for s in cross_checked.done("status") if s["dataset"] == "trades"]
        assert (series["stored"], series["absent"], series["partial"]) == (1, 1671, 1)


class TestTheVenuesOwnBars:
    DAYS = (date(2023, 8, 16), date(2023, 11, 10))

    def test_disagree_with_each_other_on_two_days(self, cross_checked: Taker) -> None:
        days = cross_checked.query(
            "select bar_date from fct_flow_reconciliation_daily where interval_verdict = 'conflict' order by 1"
        )
        assert tuple(day for (day,) in days) == self.DAYS

    def test_and_a_check_shows_exactly_those_two_without_blocking(self, cross_checked: Taker) -> None:
        rule = "the venue's klines of two intervals tell the same volume"
        (sample,) = [found[rule] for found in _failed_samples(cross_checked.storage / "dagster") if rule in found]
        assert [row["bar_date"] for row in sample] == [str(day) for day in self.DAYS]
        assert cross_checked.marts.is_file()


def _failed_samples(dagster_home: Path) -> list[dict[str, list[dict[str, Any]]]]:
    """Of each failed check in Dagster's own storage: the failing rows by the rule that they break."""
    (database,) = dagster_home.rglob("index.db")
    with sqlite3.connect(database) as connection:
        failed = "select evaluation_event from asset_check_executions where execution_status = 'FAILED'"
        events = [json.loads(text) for (text,) in connection.execute(failed)]
    found = [event["dagster_event"]["event_specific_data"]["metadata"] for event in events]
    return [metadata["samples"]["data"] for metadata in found if "samples" in metadata]
