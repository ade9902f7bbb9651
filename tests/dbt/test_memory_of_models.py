"""Models whose memory grew with the length of the history do their work within DuckDB's limit, by spilling.

Belongs here: a model that once exceeded it, on as many rows as then. Does not: what its rows say (unit tests), or how
long it takes (`benchmarks/`).
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.dbt.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("empty")

MARKETS, HOURS = 100, 730 * 24
HOURLY_KLINES = f"""
insert into int_flow_bars
    (market_id, source, bar_hours, bar_at, bar_date, taker_buy_usd, taker_sell_usd, taker_buy_base, taker_sell_base,
    open_price, high_price, low_price, close_price, trade_count, covered_minutes, reported_minutes)
select
    'binance_um:MARKET' || market, 'klines', 1, timestamp '2024-01-01' + to_hours(hour::integer),
    date '2024-01-01' + (hour // 24)::integer, 1000000 + hour, 1000000 + market, 10, 10,
    100 + hour % 7, 101 + hour % 7, 99 + hour % 7, 100 + (hour + 1) % 7, 5000, 60, 60
from range({MARKETS}) as markets (market), range({HOURS}) as hours (hour)
"""


@pytest.mark.slow
def test_two_years_of_a_hundred_markets_are_judged_within_the_least_limit(empty: Warehouse, tmp_path: Path) -> None:
    held = replace(empty, folder=tmp_path, memory_limit="768MiB")
    shutil.copy(empty.path, held.path)
    with duckdb.connect(str(held.path)) as connection:
        connection.execute(HOURLY_KLINES)
    held.dbt("run", "--full-refresh", "--select", "int_archive_bars", "int_flow_bar_pairs", "int_flow_price_levels")
    assert held.rows("select count(*) from int_flow_price_levels") == [(MARKETS * HOURS,)]
