"""What may go wrong in net taker volume of minutes."""

from __future__ import annotations

from tests.orchestration.audit.corruption import HOURLY, LINEAR, MINUTE, Corruption, update

ONE_MINUTE = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-21 05:07'"
ITS_HOUR = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-21 05:00'"
HOURS = f"{MINUTE}_hours"


def _one(column: str, change: str) -> Corruption:
    return update(MINUTE, MINUTE, ONE_MINUTE, column, change)


def _of_hours(column: str, change: str) -> Corruption:
    return update(HOURS, MINUTE, ONE_MINUTE, column, change)


CORRUPTIONS = [
    Corruption(MINUTE, "market_id, bar_at", f"insert into {MINUTE} select * from {MINUTE} where {ONE_MINUTE}"),
    _one("is_begin_right", "bar_at = bar_at + interval 1 second"),
    _one("is_begin_right", "five_minutes_at = fifteen_minutes_at"),
    _one("is_begin_right", "fifteen_minutes_at = five_minutes_at"),
    _one("is_venue_of_market", "venue = 'bybit'"),
    _one("usd_sum_residual", "volume_usd = volume_usd + 0.00000001"),
    _one("usd_sum_residual", "taker_sell_usd = null"),
    _one("base_sum_residual", "volume_base = volume_base + 0.00000001"),
    _one("usd_net_residual", "net_taker_usd = -net_taker_usd"),
    _one("base_net_residual", "net_taker_base = net_taker_base - 0.00000001"),
    _one("smallest_amount", "taker_buy_usd = -1"),
    _one("net_ratio_error", "net_taker_ratio = -net_taker_ratio"),
    _one("net_ratio_error", "net_taker_ratio = null"),
    _one("trade_count", "trade_count = 0"),
    _one("trade_count", "trade_count = null"),
    _one("is_price_in_order", "low_price = close_price + 1"),
    _one("is_price_in_order", "open_price = null"),
    Corruption(HOURS, "is_in_hourly", f"delete from {HOURLY} where {ITS_HOUR}"),
    Corruption(HOURS, "is_in_hourly", f"update {HOURLY} set flow_source = 'klines' where {ITS_HOUR}"),
    Corruption(HOURS, "is_in_minutes", f"delete from {MINUTE} where date_trunc('hour', bar_at) = '2024-03-21 05:00'"),
    Corruption(HOURS, "usd_difference", f"delete from {MINUTE} where {ONE_MINUTE}"),
    _of_hours("usd_difference", "taker_buy_usd = taker_buy_usd + 0.00001"),
    _of_hours("base_difference", "taker_sell_base = taker_sell_base + 0.00001"),
    _of_hours("trade_count_difference", "trade_count = trade_count + 1"),
    _of_hours("is_price_right", "open_price = low_price"),
    _of_hours("is_price_right", "high_price = high_price + 1"),
    _of_hours("is_state_right", "coverage_ratio = 0.5"),
    _of_hours("is_state_right", "flow_quality = 'contradicted'"),
]
