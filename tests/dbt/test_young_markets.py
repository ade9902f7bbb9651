"""Markets of a day, three days, a month, and of 94 and 95 % of the definitions' window, through every suite.

One warehouse is built with all of them, and with a market in which nothing was traded and one with holes. The claims of
the seed are replaced by many, so that every verdict is met: that it holds, that it does not, that it cannot be judged.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.serving.claims.evaluate import over_published_marts
from orchestration.warehouse.audit.gx import audit
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.dbt.warehouse import RawFolder, Record, Warehouse

LAST = date(2026, 2, 2)
STEPS = {"1h": 1, "4h": 4, "1d": 24}
DAY, THREE_DAYS, MONTH = "binance_um:ADAUSDT", "binance_um:BNBUSDT", "binance_um:SOLUSDT"
BELOW_95, ABOVE_95 = "binance_um:ETHUSDT", "binance_um:BTCUSDT"  # 693 and 694 of 730 days
IDLE, HOLES, HOURS = "binance_um:XRPUSDT", "binance_um:LTCUSDT", "binance_um:DOTUSDT"

pytestmark = pytest.mark.xdist_group("young_markets")


def days(count: int) -> list[date]:
    """So many days to the last one."""
    return [LAST - timedelta(days=back) for back in range(count)][::-1]


def klines(day: date, interval: str, *, bars: int = 24, volume: int = 1000) -> list[Record]:
    step = STEPS[interval]
    rows = []
    for hour in range(0, min(24, bars * step), step):
        at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        bought = Decimal((day.toordinal() * 7919 + hour * 104729) % 997 * volume) / 1000
        rows.append(
            {
                "opened_at": at,
                "closed_at": at + timedelta(hours=step, milliseconds=-1),
                "open_price": Decimal(100),
                # A bar in which nothing was traded repeats one price.
                "high_price": Decimal(110 if volume else 100),
                "low_price": Decimal(90 if volume else 100),
                "close_price": Decimal(100) + (day.day % 9 if volume else 0),
                "volume": Decimal(volume),
                "taker_buy_volume": bought,
                "quote_volume": Decimal(volume) * 100,
                "taker_buy_quote_volume": bought * 100,
                "trade_count": volume // 100,
            }
        )
    return rows


def store(zone: RawFolder, market: str, interval: str, rows: Sequence[Record]) -> None:
    for month in sorted({row["opened_at"].date().replace(day=1) for row in rows}):
        of_month = [row for row in rows if row["opened_at"].date().replace(day=1) == month]
        zone.store("klines", market, month, of_month, interval=interval)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = tmp_path_factory.mktemp("young")
    zone = RawFolder(folder / "zone")
    for market, count in ((DAY, 1), (THREE_DAYS, 3), (MONTH, 30)):
        store(zone, market, "4h", [row for day in days(count) for row in klines(day, "4h")])
    for market, count in ((BELOW_95, 693), (ABOVE_95, 694)):
        store(zone, market, "1d", [row for day in days(count) for row in klines(day, "1d")])
    store(zone, IDLE, "4h", [row for day in days(2) for row in klines(day, "4h", volume=0)])
    kept = [day for day in days(10) if day.day not in (28, 29)]
    store(zone, HOLES, "4h", [row for day in kept for row in klines(day, "4h", bars=5 if day.day == 31 else 6)])
    store(zone, HOURS, "1h", [row for day in days(2) for row in klines(day, "1h")])
    zone.write_index()
    warehouse = Warehouse(folder / "warehouse", zone.url, kline_intervals=("1h", "4h", "1d"))
    warehouse.build()
    return warehouse


# Of each market, side and window: the first, second and third of a day, of a range, of a day without bars, of long ago.
CLAIMS = """
create or replace table dim_claims as
select
    concat_ws(' ', market_id, side, claimed_rank, window_days, event_from, event_to) as claim_id, 'a test' as source,
    case when claimed_rank = 2 then event_to + 3 end as published_on, market_id, event_from, event_to, side,
    cast(claimed_rank as bigint) as claimed_rank, cast(window_days as bigint) as window_days, '' as note
from dim_markets
cross join (values ('bearish'), ('bullish')) as sides (side)
cross join (values (1), (2), (3)) as ranks (claimed_rank)
cross join (values (1), (3), (20), (730), (731)) as windows (window_days)
cross join (values
    (date '2026-02-02', date '2026-02-02'), (date '2026-02-01', date '2026-02-01'),
    (date '2026-01-20', date '2026-02-02'), (date '2026-02-04', date '2026-02-04'),
    (date '2024-03-10', date '2024-03-12')
) as events (event_from, event_to);
"""


@pytest.fixture(scope="module")
def marts(built: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the warehouse with these claims judged by the rule of the mart."""
    copy = Path(shutil.copy(built.path, tmp_path_factory.mktemp("claims") / "warehouse.duckdb"))
    with duckdb.connect(str(copy)) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(CLAIMS)
        verdicts = over_published_marts("select * from dim_claims", " select * from fct_claim_verdicts")
        connection.execute(f"create or replace table fct_claim_verdicts as {verdicts}")
        yield connection


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_audit_finds_nothing_wrong(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    verdict = audit(marts, suite)

    failed = [r for r in verdict.results if not r["success"] and r["severity"] == CRITICAL]
    assert [(r["rule"], r["sample"][:2]) for r in failed] == []


def test_the_claims_meet_every_verdict_and_only_one_that_holds_has_a_reason(marts: duckdb.DuckDBPyConnection) -> None:
    met = marts.execute("select distinct holds, holds_by from fct_claim_verdicts").fetchall()

    assert set(met) == {(True, "bars"), (True, "events"), (True, "bars and events"), (False, None), (None, None)}


@pytest.mark.parametrize(("market", "covered"), [(DAY, 0), (THREE_DAYS, 0), (MONTH, 4), (BELOW_95, 94)])
def test_below_95_percent_of_the_window_nothing_is_ranked_and_the_brief_states_why(
    built: Warehouse, market: str, covered: int
) -> None:
    assert built.rows(
        "select count(spike_rank), count(percentile), count(event_rank) from fct_taker_spike_ranks "
        f"where market_id = '{market}'"
    ) == [(0, 0, 0)]
    assert built.rows(
        f"select count(sell_dominance_percentile) from fct_taker_dominance_daily where market_id = '{market}'"
    ) == [(0,)]
    briefs = built.rows(
        f"select headline from rpt_market_brief_daily where market_id = '{market}' and bar_date = date '{LAST}'"
    )
    assert f"not ranked under daily_usd, since {covered} % of the 730 days to it are covered" in briefs[0][0]


def test_the_first_day_of_95_percent_is_ranked(built: Warehouse) -> None:
    assert built.rows(
        "select distinct cast(bar_at as date), window_bars from fct_taker_spike_ranks "
        f"where market_id = '{ABOVE_95}' and definition_id = 'daily_usd' and spike_rank is not null"
    ) == [(LAST, 694)]
    assert built.rows(
        "select bar_date, window_bars from fct_taker_dominance_daily "
        f"where market_id = '{ABOVE_95}' and sell_dominance_percentile is not null"
    ) == [(LAST, 694)]


def test_a_day_on_which_nothing_was_traded_has_a_brief_and_no_ratio(built: Warehouse) -> None:
    briefs = built.rows(
        f"select taker_sell_ratio, headline from rpt_market_brief_daily where market_id = '{IDLE}' order by bar_date"
    )
    assert [ratio for ratio, _ in briefs] == [None, None]
    assert "takers bought as much as they sold" in briefs[1][1]
