"""One thing that may go wrong in a mart, and the marts, markets and rows that the corruptions are about."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.warehouse.audit.rules import CRITICAL

LINEAR = "binance_um:BTCUSDT"
INVERSE = "binance_cm:BTCUSD_PERP"

HOURLY, DAILY = "fct_net_taker_volume_hourly", "fct_net_taker_volume_daily"
MINUTE = "fct_net_taker_volume_minute"
RANKS, RECONCILIATION = "fct_taker_spike_ranks", "fct_flow_reconciliation_daily"
DOMINANCE, LIQUIDATIONS = "fct_taker_dominance_daily", "fct_liquidations_daily"
LIQUIDATIONS_HOURLY, LIQUIDATIONS_ROLLING = "fct_liquidations_hourly", "fct_liquidations_rolling_24h"
CLAIMS, RETURNS, STUDY = "fct_claim_verdicts", "fct_spike_forward_returns", "agg_spike_event_study"
CONTRADICTIONS, CONTEXT = "fct_flow_contradictions", "fct_spike_context"
FUNDINGS, RATIOS = "fct_funding_rates", "fct_long_short_ratios"
OPEN_INTEREST_HOURLY, OPEN_INTEREST_DAILY = "fct_open_interest_hourly", "fct_open_interest_daily"
BRIEF, HISTORY = "rpt_market_brief_daily", "fct_spike_rank_revisions"
SCREEN, PROFILE = "rpt_market_screen", "fct_hour_of_week_profile"

ONE_HOUR = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-10 05:00'"
ONE_DAY = f"market_id = '{LINEAR}' and bar_date = date '2024-03-10'"
RANKED_BAR = (
    f"definition_id = 'daily_usd' and market_id = '{LINEAR}' and bar_at = timestamp '2024-03-13' and side = 'bearish'"
)
RANKED_MARKET = f"market_id = '{LINEAR}'"
REST_DAY = f"market_id = '{LINEAR}' and bar_date = date '2024-03-20'"
ONE_EVENT = f"""(definition_id, market_id, side, bar_at) = (
    select (definition_id, market_id, side, bar_at) from {RANKS}
    where definition_id = '4h_usd' and event_rank = 1 order by market_id, side, bar_at limit 1)"""
ONE_LIQUIDATION_DAY = "bar_date = date '2024-03-02'"
ABSENT_LIQUIDATION_DAY = "bar_date = date '2024-03-03'"
ONE_LIQUIDATION_HOUR = f"market_id = '{INVERSE}' and bar_at = timestamp '2024-03-02 04:00'"
ONE_LIVE_HOUR = "bar_at = timestamp '2024-03-11 06:00'"
ONE_ROLLING_DAY = f"market_id = '{INVERSE}' and as_of_at = timestamp '2024-03-03 00:00'"
LATER = "{0} = {0} + interval 1 minute"
TRUE_CLAIM = "claim_id = 'true' and definition_id = 'daily_usd'"
FALSE_CLAIM = "claim_id = 'false' and definition_id = 'daily_usd'"
ONE_RETURN = f"""(definition_id, market_id, side, event_at, horizon_days) = (
    select (definition_id, market_id, side, event_at, horizon_days) from {RETURNS}
    where definition_id = '4h_usd' and horizon_days = 1 and is_complete order by market_id, side, event_at limit 1)"""
OPEN_RETURN = f"horizon_days = 30 and definition_id = '4h_usd' and market_id = '{LINEAR}' and side = 'bearish'"
ONE_STUDY = f"definition_id = '4h_usd' and market_id = '{LINEAR}' and side = 'bearish' and horizon_days = 1"
ONE_BRIEF = f"market_id = '{LINEAR}' and bar_date = date '2024-03-13'"
FIRST_REVISION = "run_id = 'run-2'"
LAST_REVISION = "cause = 'rules'"


@dataclass(frozen=True)
class Corruption:
    """`sql` breaks one thing; then the suite's expectation on `column` fails with `severity`."""

    suite: str
    column: str
    sql: str
    severity: str = CRITICAL

    def __str__(self) -> str:
        return f"{self.suite}-{self.column}-{self.severity}"


def update(suite: str, mart: str, row: str, column: str, change: str, severity: str = CRITICAL) -> Corruption:
    return Corruption(suite, column, f"update {mart} set {change} where {row}", severity)
