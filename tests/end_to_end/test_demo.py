"""The main job on the simulated exchange: `taker demo`, then what happens to a warehouse over its life.

The module has a copy of the demo to itself, and the tests that change it come last, in the order of a warehouse's days.
"""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import Any

import duckdb
import pytest

from ingestion.simulator.simulated import DefectKind, publish_correction
from tests.support.demos import ETHER, INVERSE, LAST_DAY, LINEAR, OTHER, SUM, Demo

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo(finished_demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return finished_demo.copied_to(tmp_path_factory.mktemp("life"))


def verdict(demo: Demo, kind: DefectKind) -> str:
    (row,) = demo.taker.query(
        f"select verdict from fct_flow_reconciliation_daily where market_id = '{LINEAR}' "
        f"and bar_date = date '{demo.day_of(kind)}'"
    )
    return str(row[0])


def again(demo: Demo, *arguments: str) -> subprocess.CompletedProcess[str]:
    return demo.taker.run("run", *demo.days, *arguments)


def dailies(demo: Demo) -> dict[tuple[str, date], tuple[Any, ...]]:
    rows = demo.taker.query("select market_id, bar_date, * from fct_net_taker_volume_daily")
    return {(row[0], row[1]): row for row in rows}


class TestTheAnswer:
    def test_the_latest_day_is_the_third_largest_bearish_spike_of_two_years(self, demo: Demo) -> None:
        for market in (LINEAR, INVERSE, OTHER, SUM):
            ranks = demo.taker.query(
                "select definition_id, spike_rank, window_bars from fct_taker_spike_ranks "
                f"where market_id = '{market}' and side = 'bearish' and bar_at = timestamp '{LAST_DAY}' "
                "and definition_id = 'daily_usd'"
            )
            assert ranks == [("daily_usd", 3, 730)]

    def test_whether_it_is_an_event_is_not_known_before_a_day_has_passed(self, demo: Demo) -> None:
        assert demo.taker.query(
            f"select distinct is_event from fct_taker_spike_ranks where bar_at = timestamp '{LAST_DAY}' "
            "and definition_id = 'daily_usd'"
        ) == [(None,)]

    def test_is_marked_as_simulated(self, demo: Demo) -> None:
        assert demo.taker.query("select market_id, is_simulated from dim_markets order by 1") == [
            (market, True) for market in sorted((LINEAR, INVERSE, ETHER, OTHER, SUM))
        ]
        assert demo.facts["simulated"] is True
        assert [day["is_simulated"] for day in demo.facts["markets"]] == [True] * 5

    def test_every_definition_is_filled_for_every_market(self, demo: Demo) -> None:
        filled = demo.taker.query(
            "select market_id, count(distinct definition_id) from fct_taker_spike_ranks "
            "where spike_rank is not null group by all order by 1"
        )
        assert filled == [(market, 8) for market in sorted((LINEAR, INVERSE, ETHER, OTHER, SUM))]

    def test_every_table_and_column_is_described_in_the_published_file(self, demo: Demo) -> None:
        undescribed = demo.taker.query(
            "select table_name, column_name from duckdb_columns() where not internal and comment is null "
            "union all select table_name, null from duckdb_tables() where not internal and comment is null"
        )
        assert undescribed == []

    def test_every_mart_is_there_as_parquet_with_the_same_rows(self, demo: Demo) -> None:
        names = [name for (name,) in demo.taker.query("select table_name from duckdb_tables()")]
        for name in sorted(set(names) - {"publication", "publication_tables"}):
            parquet = demo.taker.storage / "serving" / "parquet" / name / "data.parquet"
            (rows,) = demo.taker.query(f"select count(*) from read_parquet('{parquet}')")
            assert rows == demo.taker.query(f"select count(*) from {name}")[0]


class TestWhatItShows:
    def test_one_claim_is_true_one_is_false_and_of_one_nothing_can_be_decided(self, demo: Demo) -> None:
        holds = {
            claim.removeprefix("demo-"): (some, every)
            for claim, some, every in demo.taker.query(
                "select claim_id, bool_or(holds), bool_and(holds) from fct_claim_verdicts "
                "where claim_id like 'demo-%' group by claim_id"
            )
        }
        assert holds == {"true": (True, False), "false": (False, False), "cannot-tell": (None, None)}

    def test_the_event_study_concludes_something_of_ether_and_refuses_to_of_bitcoin(self, demo: Demo) -> None:
        concluded = demo.taker.query(
            "select market_id, count(*) filter (is_conclusive) > 0, min(p_value) < 0.01 from agg_spike_event_study "
            "group by market_id order by market_id"
        )
        assert concluded == [
            (market, *((True, True) if market == ETHER else (False, None)))
            for market in sorted((LINEAR, INVERSE, ETHER, OTHER, SUM))
        ]

    def test_what_the_feed_was_silent_about_makes_the_day_a_lower_bound(self, demo: Demo) -> None:
        ((source, is_lower_bound, coverage, orders),) = demo.taker.query(
            "select liquidation_source, is_lower_bound, coverage_ratio, order_count from fct_liquidations_daily "
            f"where market_id = '{ETHER}' and bar_date = date '{LAST_DAY}'"
        )
        assert (source, is_lower_bound, coverage) == ("live", True, (1440 - 23) / 1440)
        assert orders > 0

    def test_the_whole_venue_is_shown_beside_its_markets(self, demo: Demo) -> None:
        assert "simulated:ALL" in [row["market_id"] for row in demo.facts["liquidations_24h"]]


class TestTheSumOfBothExchanges:
    def test_is_that_of_its_markets_to_the_last_digit(self, demo: Demo) -> None:
        differing = demo.taker.query(
            "select bar_date from fct_net_taker_volume_daily group by bar_date having "
            f"sum(case when market_id = '{SUM}' then net_taker_usd end) is distinct from "
            f"sum(case when market_id in ('{LINEAR}', '{INVERSE}', '{OTHER}') then net_taker_usd end)"
        )
        assert differing == []

    def test_is_over_simulated_venues_alone(self, demo: Demo) -> None:
        assert demo.taker.query(
            "select distinct venue_set from fct_net_taker_volume_daily where venue like '%all'"
        ) == [("simulated,simulated_b",)]

    def test_is_another_series_than_its_largest_market(self, demo: Demo) -> None:
        ((days,),) = demo.taker.query(
            "select count(*) from fct_taker_spike_ranks as sums inner join fct_taker_spike_ranks as parts "
            "using (definition_id, side, bar_at) "
            f"where sums.market_id = '{SUM}' and parts.market_id = '{LINEAR}' and definition_id = 'daily_usd' "
            "and sums.spike_rank <> parts.spike_rank"
        )
        assert days > 0


class TestThePlannedDefects:
    @pytest.mark.parametrize("kind", [DefectKind.HEADERLESS, DefectKind.DUPLICATED_BLOCK])
    def test_that_lose_nothing_still_give_the_exact_flow(self, demo: Demo, kind: DefectKind) -> None:
        assert verdict(demo, kind) == "exact"

    @pytest.mark.parametrize("kind", [DefectKind.MISSING_HOUR, DefectKind.REPLACED_FILE])
    def test_that_lose_trades_are_seen_and_the_day_comes_from_klines(self, demo: Demo, kind: DefectKind) -> None:
        assert verdict(demo, kind) == "trades_incomplete"
        assert demo.taker.query(
            "select flow_source, coverage_ratio from fct_net_taker_volume_daily "
            f"where market_id = '{LINEAR}' and bar_date = date '{demo.day_of(kind)}'"
        ) == [("klines", 1.0)]

    def test_an_absent_day_is_recorded_and_comes_from_klines(self, demo: Demo) -> None:
        assert verdict(demo, DefectKind.ABSENT_DAY) == "klines_only"

    def test_duplicates_are_counted(self, demo: Demo) -> None:
        ((count,),) = demo.taker.query(
            f"select duplicate_rows from fct_flow_reconciliation_daily where market_id = '{LINEAR}' "
            f"and bar_date = date '{demo.day_of(DefectKind.DUPLICATED_BLOCK)}'"
        )
        assert count > 0

    def test_every_other_day_of_trades_agrees_with_the_klines_to_the_last_digit(self, demo: Demo) -> None:
        days = [d.day for d in demo.simulated.defects]
        verdicts = demo.taker.query(
            "select market_id, bar_date, verdict from fct_flow_reconciliation_daily "
            "where verdict not in ('klines_only', 'exact')"
        )
        assert {day for _, day, _ in verdicts} <= set(days)


class TestTheLifeOfAWarehouse:
    """In this order."""

    def test_1_a_run_without_news_writes_nothing_to_the_raw_zone(self, demo: Demo) -> None:
        raw = demo.taker.storage / "raw"
        before = {path: path.stat().st_mtime_ns for path in raw.rglob("*.parquet") if path.name == "data.parquet"}
        answer = again(demo, "--quiet")
        assert answer.returncode == 0, answer.stderr
        assert before == {
            path: path.stat().st_mtime_ns for path in raw.rglob("*.parquet") if path.name == "data.parquet"
        }

    def test_2_a_corrected_file_changes_its_own_day_while_a_reader_looks_on(self, demo: Demo) -> None:
        before = dailies(demo)
        publish_correction(demo.simulated.root)
        with duckdb.connect(str(demo.taker.marts), read_only=True) as reader:
            facts = json.loads(again(demo, "--json").stdout)
            still = reader.execute("select count(*) from fct_net_taker_volume_daily").fetchall()
        assert still == [(len(before),)]
        assert facts["objects"]["stored"] == 1
        assert verdict(demo, DefectKind.REPLACED_FILE) == "exact"
        after = dailies(demo)
        changed = {key for key in after if after[key] != before[key]}
        # The sum over venues states the quality of the worst of its parts.
        assert changed == {(market, demo.day_of(DefectKind.REPLACED_FILE)) for market in (LINEAR, SUM)}
