"""Every mart of the project on a real PostgreSQL: nothing that is published as a file is left out there."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from orchestration.config.settings import load_settings
from orchestration.warehouse.dbt import load_manifest, marts_in
from orchestration.warehouse.profile import manifest_path
from tests.support.demos import Demo
from tests.support.postgres import PostgresServer
from tests.support.publications import Publisher

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.postgres]

# Of each mart of positions, context and comparison: columns that a chart of it needs.
SERVED = {
    "fct_funding_rates": "market_id, funded_at, funding_rate, annualised_rate, cumulative_rate",
    "fct_open_interest_hourly": "market_id, bar_at, open_interest_usd",
    "fct_open_interest_daily": "market_id, bar_date, open_interest_usd, change_24h_ratio",
    "fct_long_short_ratios": "market_id, bar_at, top_trader_position_long_short_ratio, account_long_short_ratio",
    "fct_spike_context": "definition_id, market_id, side, event_at, horizon_hours, long_liquidations_usd, funding_rate",
    "fct_hour_of_week_profile": "market_id, hour_of_week, net_taker_ratio, mean_volume_usd",
    "rpt_market_screen": "market_id, bar_date, net_taker_usd, best_rank, robust_z",
}


def test_every_mart_arrives_with_its_rows(finished_demo: Demo, postgres_server: PostgresServer, tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path, postgres_server.url("postgres"))
    publisher.warehouse.symlink_to(finished_demo.taker.storage / "warehouse.duckdb")
    marts = marts_in(load_manifest(manifest_path(load_settings(storage_url=str(finished_demo.taker.storage)).dbt)))
    assert set(SERVED) <= set(marts)
    publisher.publish(marts, keys={})
    with psycopg.connect(postgres_server.url("postgres")) as reader:
        for mart in marts:
            ((rows,),) = publisher.query(f"select count(*) from {mart}")
            assert reader.execute(f"select count(*) from taker.{mart}".encode()).fetchall() == [(rows,)], mart
        for mart, columns in SERVED.items():
            expected = publisher.query(f"select {columns} from {mart}")
            assert expected, mart
            arrived = reader.execute(f"select {columns} from taker.{mart}".encode()).fetchall()
            assert sorted(map(repr, arrived)) == sorted(map(repr, expected)), mart
