"""One corruption per audit suite, planted in a run's warehouse after dbt has built it and before the audit reads it.

Belongs here: what is planted (a bug of a model, as no source can bring it about: the models state these identities),
and the program that plants it. Does not: what must follow (`tests/torture/test_refusals.py`).

`python -m tests.support.planted SUITE run …` is `taker run …` with the corruption of that suite.
"""

from __future__ import annotations

import sys
from typing import Any

import duckdb

_ONE_HOUR = "(market_id, bar_at) = (select (market_id, bar_at) from {0} where venue <> 'all' order by all limit 1)"
_ONE_DAY = (
    "(market_id, trade_date) = (select (market_id, trade_date) from {0} where venue <> 'all' order by all limit 1)"
)
_HOURLY, _DAILY = "fct_net_taker_volume_hourly", "fct_net_taker_volume_daily"
_RECONCILIATION, _RANKS = "fct_flow_reconciliation_daily", "fct_taker_spike_ranks"
_L_HOURLY, _L_DAILY, _L_ROLLING = "fct_liquidations_hourly", "fct_liquidations_daily", "fct_liquidations_rolling_24h"


def _of_a_sum(mart: str) -> str:
    """A sum over venues that is not that of its only market."""
    return (
        f"insert into {mart} by name select * replace ('simulated_all:BTC' as market_id, 'simulated_all' as venue, "
        f"taker_buy_usd + 1 as taker_buy_usd) from {mart} where market_id = 'simulated:BTCUSDT'"
    )


PLANTED = {
    "dim_markets": "update dim_markets set contract_type = 'quanto'",
    "dim_markets_references": "delete from dim_markets where market_id = 'simulated:BTCUSDT'",
    _HOURLY: f"update {_HOURLY} set net_taker_usd = net_taker_usd + 1 where {_ONE_HOUR.format(_HOURLY)}",
    f"{_HOURLY}_sums": _of_a_sum(_HOURLY),
    f"{_HOURLY}_days": f"update {_HOURLY} set taker_buy_usd = taker_buy_usd + 1 where {_ONE_HOUR.format(_HOURLY)}",
    _DAILY: f"update {_DAILY} set net_taker_usd = net_taker_usd + 1 where {_ONE_DAY.format(_DAILY)}",
    f"{_DAILY}_sums": _of_a_sum(_DAILY),
    f"{_DAILY}_gaps": f"delete from {_DAILY} where trade_date = date '2026-03-01'",
    "fct_taker_dominance_daily": "update fct_taker_dominance_daily set buy_dominance_percentile = 2",
    _RANKS: f"update {_RANKS} set spike_rank = 0",
    f"{_RANKS}_definitions": f"delete from {_RANKS} where definition_id = 'daily_usd'",
    _RECONCILIATION: f"update {_RECONCILIATION} set verdict = 'fine' where trade_date = date '2026-03-01'",
    f"{_RECONCILIATION}_choice": f"delete from {_RECONCILIATION} where trade_date = date '2026-03-01'",
    _L_HOURLY: f"update {_L_HOURLY} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_HOURLY}_widths": (
        f"insert into {_L_HOURLY} by name select * replace ('simulated:ALL' as market_id, order_count + 1 as "
        f"order_count) from {_L_HOURLY} where market_id = 'simulated:BTCUSDT'"
    ),
    _L_DAILY: f"update {_L_DAILY} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_DAILY}_days": f"delete from {_L_DAILY} where trade_date = date '2026-03-08'",
    _L_ROLLING: f"update {_L_ROLLING} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_ROLLING}_windows": f"update {_L_ROLLING} set order_count = order_count + 1 where venue = 'simulated'",
    "fct_claim_verdicts": "insert into fct_claim_verdicts select * from fct_claim_verdicts limit 1",
    "fct_spike_forward_returns": (
        "insert into fct_spike_forward_returns by name select definition_id, market_id, side, bar_at as event_at, "
        f"1 as horizon_days, true as is_complete, 1 as event_rank from {_RANKS} order by all limit 1"
    ),
    "agg_spike_event_study": "insert into agg_spike_event_study select * from agg_spike_event_study limit 1",
    "rpt_market_brief_daily": "insert into rpt_market_brief_daily select * from rpt_market_brief_daily limit 1",
}


def plant_before_the_audit(sql: str) -> None:
    """From now on the first read of a warehouse finds the corruption in it."""
    from orchestration.resources import WarehouseResource

    read = WarehouseResource.read
    planted: list[str] = []

    def corrupted(self: WarehouseResource, query: str) -> Any:
        if not planted:
            planted.append(sql)
            with duckdb.connect(str(self.dbt.paths.warehouse)) as connection:
                connection.execute("set timezone = 'UTC'")
                connection.execute(sql)
        return read(self, query)

    WarehouseResource.read = corrupted  # type: ignore[method-assign]


def main() -> None:
    suite, *arguments = sys.argv[1:]
    plant_before_the_audit(PLANTED[suite])
    from orchestration.cli.app import main as taker

    sys.argv = ["taker", *arguments]
    taker()


if __name__ == "__main__":
    main()
