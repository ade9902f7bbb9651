"""The main job on the simulated exchange: `taker demo`, then what happens to a warehouse over its life.

One demo is made for the module, and the tests that change it come last, in the order of a warehouse's days.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pytest

from ingestion.venues.simulated import DefectKind, SimulationSummary, publish_correction, simulate
from tests.support.commands import Taker

LINEAR, INVERSE = "simulated:BTCUSDT", "simulated:BTCUSD_PERP"
LAST_DAY = date(2026, 6, 30)

pytestmark = pytest.mark.xdist_group("demo")


@dataclass
class Demo:
    """A finished demo: the command to go on with, what was simulated, and the closing facts."""

    taker: Taker
    simulated: SimulationSummary
    facts: Any

    def day_of(self, kind: DefectKind) -> date:
        return next(defect.day for defect in self.simulated.defects if defect.kind is kind)

    def verdict(self, kind: DefectKind) -> str:
        (row,) = self.taker.query(
            f"select verdict from fct_flow_reconciliation_daily where market_id = '{LINEAR}' "
            f"and trade_date = date '{self.day_of(kind)}'"
        )
        return str(row[0])

    def again(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.taker.run("run", "--from", str(self.simulated.first_trades_day), "--to", str(LAST_DAY), *arguments)

    def dailies(self) -> dict[tuple[str, date], tuple[Any, ...]]:
        rows = self.taker.query("select * from fct_net_taker_volume_daily")
        return {(row[0], row[1]): row for row in rows}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """What `make demo` does, in a folder of the test's own and with a last day that does not move."""
    folder = tmp_path_factory.mktemp("demo")
    home = folder / "var" / "demo"
    simulated = simulate(home / "archive", last_day=LAST_DAY)
    (home / "demo.json").write_text(json.dumps({"first_day": str(simulated.first_day), "last_day": str(LAST_DAY)}))
    made = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "demo", "--json"], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    settings = {
        "TAKER_MARKETS": f"{LINEAR},{INVERSE}",
        "TAKER_ARCHIVE_URL": (home / "archive").as_uri(),
        "TAKER_FIRST_DAY": str(simulated.first_day),
    }
    return Demo(Taker(home, settings), simulated, json.loads(made.stdout))


class TestTheAnswer:
    def test_the_latest_day_is_the_third_largest_bearish_spike_of_two_years(self, demo: Demo) -> None:
        for market in (LINEAR, INVERSE):
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
            (LINEAR, True),
            (INVERSE, True),
        ]
        assert demo.facts["simulated"] is True
        assert [day["is_simulated"] for day in demo.facts["markets"]] == [True, True]

    def test_every_definition_is_filled_for_both_markets(self, demo: Demo) -> None:
        filled = demo.taker.query(
            "select market_id, count(distinct definition_id) from fct_taker_spike_ranks "
            "where spike_rank is not null group by all order by 1"
        )
        assert filled == [(LINEAR, 7), (INVERSE, 7)]

    def test_every_table_and_column_is_described_in_the_published_file(self, demo: Demo) -> None:
        undescribed = demo.taker.query(
            "select table_name, column_name from duckdb_columns() where not internal and comment is null "
            "union all select table_name, null from duckdb_tables() where not internal and comment is null"
        )
        assert undescribed == []

    def test_every_mart_is_there_as_parquet_with_the_same_rows(self, demo: Demo) -> None:
        names = [name for (name,) in demo.taker.query("select table_name from duckdb_tables()")]
        for name in sorted(set(names) - {"publication"}):
            parquet = demo.taker.storage / "serving" / "parquet" / name / "data.parquet"
            (rows,) = demo.taker.query(f"select count(*) from read_parquet('{parquet}')")
            assert rows == demo.taker.query(f"select count(*) from {name}")[0]


class TestThePlannedDefects:
    @pytest.mark.parametrize("kind", [DefectKind.HEADERLESS, DefectKind.DUPLICATED_BLOCK])
    def test_that_lose_nothing_still_give_the_exact_flow(self, demo: Demo, kind: DefectKind) -> None:
        assert demo.verdict(kind) == "exact"

    @pytest.mark.parametrize("kind", [DefectKind.MISSING_HOUR, DefectKind.REPLACED_FILE])
    def test_that_lose_trades_are_seen_and_the_day_comes_from_klines(self, demo: Demo, kind: DefectKind) -> None:
        assert demo.verdict(kind) == "trades_incomplete"
        assert demo.taker.query(
            "select flow_source, coverage_ratio from fct_net_taker_volume_daily "
            f"where market_id = '{LINEAR}' and trade_date = date '{demo.day_of(kind)}'"
        ) == [("klines", 1.0)]

    def test_an_absent_day_is_recorded_and_comes_from_klines(self, demo: Demo) -> None:
        assert demo.verdict(DefectKind.ABSENT_DAY) == "klines_only"

    def test_duplicates_are_counted(self, demo: Demo) -> None:
        ((count,),) = demo.taker.query(
            f"select duplicate_rows from fct_flow_reconciliation_daily where market_id = '{LINEAR}' "
            f"and trade_date = date '{demo.day_of(DefectKind.DUPLICATED_BLOCK)}'"
        )
        assert count > 0

    def test_every_other_day_of_trades_agrees_with_the_klines_to_the_last_digit(self, demo: Demo) -> None:
        days = [d.day for d in demo.simulated.defects]
        verdicts = demo.taker.query(
            "select market_id, trade_date, verdict from fct_flow_reconciliation_daily "
            "where verdict not in ('klines_only', 'exact')"
        )
        assert {day for _, day, _ in verdicts} <= set(days)


class TestTheLifeOfAWarehouse:
    """In this order."""

    def test_1_a_run_without_news_writes_nothing_to_the_raw_zone(self, demo: Demo) -> None:
        raw = demo.taker.storage / "raw"
        before = {path: path.stat().st_mtime_ns for path in raw.rglob("*.parquet") if path.name == "data.parquet"}
        answer = demo.again("--quiet")
        assert answer.returncode == 0, answer.stderr
        assert before == {
            path: path.stat().st_mtime_ns for path in raw.rglob("*.parquet") if path.name == "data.parquet"
        }

    def test_2_a_corrected_file_changes_its_own_day_while_a_reader_looks_on(self, demo: Demo) -> None:
        before = demo.dailies()
        publish_correction(demo.simulated.root)
        with duckdb.connect(str(demo.taker.marts), read_only=True) as reader:
            facts = json.loads(demo.again("--json").stdout)
            still = reader.execute("select count(*) from fct_net_taker_volume_daily").fetchall()
        assert still == [(len(before),)]
        assert facts["objects"]["stored"] == 1
        assert demo.verdict(DefectKind.REPLACED_FILE) == "exact"
        after = demo.dailies()
        changed = {key for key in after if after[key] != before[key]}
        assert changed == {(LINEAR, demo.day_of(DefectKind.REPLACED_FILE))}

    def test_3_a_failed_audit_leaves_the_former_publication_standing(self, demo: Demo) -> None:
        with duckdb.connect(str(demo.taker.storage / "warehouse.duckdb")) as warehouse:
            warehouse.execute("update int_flow_bars set high_price = 1 where bar_date = ?", [LAST_DAY])
        before = demo.taker.marts.read_bytes()
        answer = demo.again()
        said = " ".join((answer.stdout + answer.stderr).split())
        assert answer.returncode == 1
        assert "no open or close above the high" in said
        assert demo.taker.marts.read_bytes() == before

    def test_4_a_full_refresh_mends_it(self, demo: Demo) -> None:
        before = demo.dailies()
        answer = demo.again("--full-refresh", "--quiet")
        assert answer.returncode == 0, answer.stderr
        assert demo.dailies() == before
