"""What may go wrong in net taker volume: hours, days, sums over venues and lost days."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import CRITICAL, WARNING
from tests.orchestration.audit.corruption import DAILY, HOURLY, INVERSE, LINEAR, ONE_DAY, ONE_HOUR, Corruption, update


def _flow_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a net taker volume mart; `row` selects one bar."""

    def one(column: str, change: str, severity: str = CRITICAL) -> Corruption:
        return Corruption(mart, column, f"update {mart} set {change} where {row}", severity)

    key = "market_id, bar_at" if mart.endswith("hourly") else "market_id, bar_date"
    return [
        Corruption(mart, key, f"insert into {mart} select * from {mart} where {row}"),
        one("usd_sum_residual", "volume_usd = volume_usd + 0.00000001"),
        one("usd_sum_residual", "taker_sell_usd = null"),
        one("base_sum_residual", "volume_base = volume_base + 0.00000001"),
        one("usd_net_residual", "net_taker_usd = -net_taker_usd"),
        one("base_net_residual", "net_taker_base = net_taker_base - 0.00000001"),
        one("smallest_amount", "taker_buy_usd = -1"),
        one("taker_sell_ratio", "taker_sell_ratio = 1.01"),
        one("sell_ratio_error", "taker_sell_ratio = 1 - taker_sell_ratio"),
        one("sell_ratio_error", "taker_sell_ratio = 'nan'::double"),
        one("sell_ratio_error", "taker_sell_ratio = null"),
        one("buy_sell_ratio_error", "taker_buy_sell_ratio = 1 / taker_buy_sell_ratio"),
        one("coverage_ratio", "coverage_ratio = 1.5"),
        one("coverage_ratio", "coverage_ratio = null"),
        one("trade_count", "trade_count = -1"),
        one("flow_source", "flow_source = 'guess'"),
        one("flow_source", "flow_source = null"),
        one("is_venue_of_market", "venue = 'bybit'"),
        one("is_venue_set_named", "venue_set = 'binance_um,bybit'"),
        one("is_provision_stated", "is_provisional = true"),
        one("is_provision_stated", "flow_source = 'rest_klines'"),
        one("is_running_provisional", "is_running = true"),
        one("is_running_provisional", "is_running = null"),
        one("is_price_known", "close_price = null"),
        one("is_venue_price_in_order", "low_price = 0", WARNING),
        one("is_venue_price_in_order", "open_price = low_price - 1", WARNING),
        one("lower_end_price, low_price", "flow_source = 'trades', open_price = low_price - 1"),
        one("high_price, upper_end_price", "flow_source = 'trades', close_price = high_price + 1"),
        one("average_price_excursion", "volume_base = volume_base * 3"),
        one(
            "own_average_price_excursion",
            "low_price = high_price, open_price = high_price, close_price = high_price",
            WARNING,
        ),
        one("close_change_ratio", "close_price = close_price * 2, high_price = close_price * 3", WARNING),
    ]


def _sum_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a sum over venues; `row` selects one bar of it."""
    suite = f"{mart}_sums"

    def one(column: str, change: str) -> Corruption:
        return Corruption(suite, column, f"update {mart} set {change} where {row}")

    return [
        Corruption(suite, "is_summed", f"delete from {mart} where {row}"),
        Corruption(suite, "has_markets", f"delete from {mart} where venue <> 'all'"),
        one("usd_difference", "taker_buy_usd = taker_buy_usd + 0.00000001"),
        one("base_difference", "taker_sell_base = taker_sell_base - 0.00000001"),
        one("trade_count_difference", "trade_count = trade_count + 1"),
        one("coverage_error", "coverage_ratio = 0.5"),
        one("is_venue_set_right", "venue_set = 'binance_um'"),
        one("is_state_right", "is_provisional = true"),
        one("is_state_right", "is_running = true"),
    ]


def _cumulative_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in the net so far; `row` selects one bar."""

    def one(column: str, change: str) -> Corruption:
        return update(f"{mart}_cvd", mart, row, column, change)

    return [
        one("net_ratio_error", "net_taker_ratio = -net_taker_ratio"),
        one("net_ratio_error", "net_taker_ratio = null"),
        one("return_error", "price_return = -price_return"),
        one("return_error", "price_return = null"),
        one("is_begun_rightly", "cvd_base = null"),
        one("is_begun_rightly", "cvd_usd = null, cvd_base = null, cvd_missing_hours = null"),
        one("cvd_usd_residual", "cvd_usd = cvd_usd + 0.00000001"),
        one("cvd_base_residual", "cvd_base = cvd_base - 0.00000001"),
        one("missing_error", "cvd_missing_hours = cvd_missing_hours + 1"),
    ]


CORRUPTIONS = [
    *_cumulative_corruptions(HOURLY, ONE_HOUR),
    update(f"{HOURLY}_cvd", HOURLY, ONE_HOUR, "cvd_day_usd_residual", "cvd_day_usd = cvd_usd"),
    update(f"{HOURLY}_cvd", HOURLY, ONE_HOUR, "cvd_day_base_residual", "cvd_day_base = cvd_base"),
    *_cumulative_corruptions(DAILY, ONE_DAY),
    update(f"{DAILY}_cvd", DAILY, ONE_DAY, "mean_7d_usd_error", "mean_7d_net_taker_usd = net_taker_usd"),
    update(f"{DAILY}_cvd", DAILY, ONE_DAY, "mean_7d_base_error", "mean_7d_net_taker_base = null"),
    # There are no thirty days.
    update(f"{DAILY}_cvd", DAILY, ONE_DAY, "mean_30d_usd_error", "mean_30d_net_taker_usd = net_taker_usd"),
    update(f"{DAILY}_cvd", DAILY, ONE_DAY, "mean_30d_base_error", "mean_30d_net_taker_base = net_taker_base"),
    *_flow_corruptions(HOURLY, ONE_HOUR),
    *_flow_corruptions(DAILY, ONE_DAY),
    update(HOURLY, HOURLY, ONE_HOUR, "is_whole_hour", "bar_at = bar_at + interval 1 minute"),
    update(DAILY, DAILY, ONE_DAY, "source_bar_hours", "source_bar_hours = 2"),
    *_sum_corruptions(HOURLY, "market_id = 'all:BTC' and bar_at = timestamp '2024-03-10 05:00'"),
    *_sum_corruptions(DAILY, "market_id = 'all:BTC' and bar_date = date '2024-03-10'"),
    Corruption(DAILY, "", f"delete from {DAILY}"),
    # The hours of a day.
    Corruption(f"{HOURLY}_days", "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(
        f"{HOURLY}_days", "is_in_hourly", f"delete from {HOURLY} where cast(bar_at as date) = date '2024-03-10'"
    ),
    Corruption(f"{HOURLY}_days", "usd_difference", f"delete from {HOURLY} where {ONE_HOUR}"),
    Corruption(f"{HOURLY}_days", "coverage_error", f"delete from {HOURLY} where {ONE_HOUR}"),
    update(f"{HOURLY}_days", DAILY, ONE_DAY, "base_difference", "taker_buy_base = taker_buy_base + 0.00001"),
    update(f"{HOURLY}_days", DAILY, ONE_DAY, "trade_count_difference", "trade_count = trade_count + 1"),
    update(f"{HOURLY}_days", DAILY, ONE_DAY, "high_difference", "high_price = high_price + 1"),
    update(f"{HOURLY}_days", DAILY, ONE_DAY, "low_difference", "low_price = low_price - 1"),
    update(f"{HOURLY}_days", HOURLY, ONE_HOUR, "is_fill_negligible", "flow_source = 'trades'"),
    # Lost days.
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(
        f"{DAILY}_gaps",
        "unusable_days",
        f"delete from {DAILY} where {ONE_DAY}; "
        f"update fct_flow_reconciliation_daily set verdict = 'trades_implausible' where {ONE_DAY}",
        WARNING,
    ),
    Corruption(f"{DAILY}_gaps", "unrequested_days", "delete from int_flow_receipts where status = 'absent'", WARNING),
    Corruption(
        f"{DAILY}_gaps",
        "lost_days",
        f"insert into int_flow_receipts values ('aggTrades', '{INVERSE}', '2024-03-16', 'stored', 5)",
    ),
    Corruption(
        f"{DAILY}_gaps", "empty_days", "update int_flow_receipts set status = 'stored' where status = 'absent'", WARNING
    ),
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where bar_date = date '2024-03-22'"),
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where market_id = '{LINEAR}'"),
]
