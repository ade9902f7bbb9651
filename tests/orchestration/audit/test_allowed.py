"""What looks unusual in the marts and is allowed."""

from __future__ import annotations

import duckdb

from tests.orchestration.audit.auditing import SUITE_BY_NAME, audit
from tests.orchestration.audit.corruption import DAILY, HOURLY, LINEAR, ONE_DAY, RECONCILIATION


def test_quiet_hours_of_a_day_of_trades_may_be_filled_from_klines(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"""
        insert into {HOURLY} by name
        select
            * replace (
                0 as taker_buy_usd, 0 as taker_sell_usd, 0 as net_taker_usd, 0 as volume_usd, 0 as taker_buy_base,
                0 as taker_sell_base, 0 as net_taker_base, 0 as volume_base, null as taker_sell_ratio,
                null as taker_buy_sell_ratio, 0 as trade_count, 'klines' as flow_source
            )
        from {HOURLY}
        where market_id = '{LINEAR}' and bar_at = timestamp '2024-03-20 23:00';
        delete from {HOURLY} where market_id = '{LINEAR}' and bar_at = timestamp '2024-03-20 23:00' and trade_count > 0;
        update {DAILY} as daily
        set taker_buy_usd = hours.taker_buy_usd, taker_sell_usd = hours.taker_sell_usd,
            taker_buy_base = hours.taker_buy_base, taker_sell_base = hours.taker_sell_base,
            trade_count = hours.trade_count
        from (select sum(columns(['taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base',
            'trade_count'])) from {HOURLY}
            where market_id = '{LINEAR}' and cast(bar_at as date) = date '2024-03-20') as hours
        where market_id = '{LINEAR}' and bar_date = date '2024-03-20'
        """
    )

    assert audit(marts, SUITE_BY_NAME[f"{HOURLY}_days"]).success


def test_intervals_that_agree_in_volume_may_disagree_in_net(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"update {RECONCILIATION} set interval_verdict = 'conflict' where {ONE_DAY}")

    verdict = audit(marts, SUITE_BY_NAME[RECONCILIATION])

    assert [r["column"] for r in verdict.results if not r["success"]] == ["interval_verdict"]
    assert not verdict.blocking


def test_a_day_from_coarser_klines_needs_no_hours(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"delete from {HOURLY}; update {DAILY} set source_bar_hours = 4")

    assert audit(marts, SUITE_BY_NAME[f"{HOURLY}_days"]).success
