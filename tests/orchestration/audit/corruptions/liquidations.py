"""What may go wrong in liquidations: hours, days, rolling days and what they are made of."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.corruption import (
    ABSENT_LIQUIDATION_DAY,
    LATER,
    LINEAR,
    LIQUIDATIONS,
    LIQUIDATIONS_HOURLY,
    LIQUIDATIONS_ROLLING,
    ONE_LIQUIDATION_DAY,
    ONE_LIQUIDATION_HOUR,
    ONE_LIVE_HOUR,
    ONE_ROLLING_DAY,
    Corruption,
    update,
)


def _liquidation_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a liquidations mart; `row` selects one of the archive, 300.5 and 200.25 USD in 3 orders."""

    def one(column: str, change: str, where: str = row) -> Corruption:
        return Corruption(mart, column, f"update {mart} set {change} where {where}")

    time_column = {LIQUIDATIONS: "bar_date", LIQUIDATIONS_HOURLY: "bar_at"}.get(mart, "as_of_at")
    return [
        Corruption(mart, f"venue, market_id, {time_column}", f"insert into {mart} select * from {mart} where {row}"),
        one("sum_residual", "total_usd = total_usd + 0.00000001"),
        one("smallest_amount", "short_usd = -1, total_usd = 299.5"),
        one("smallest_amount", "unvalued_order_count = -1"),
        one("is_absence_unknown", "total_usd = 0", "coverage_ratio = 0"),
        one("is_absence_unknown", "order_count = 0", "coverage_ratio = 0"),
        one("is_absence_unknown", "long_usd = null"),
        one("is_count_consistent", "order_count = 0"),
        one("is_count_consistent", "unvalued_order_count = 3"),
        one("is_largest_within_total", "largest_order_usd = 501"),
        one("coverage_ratio", "coverage_ratio = 2"),
        one("coverage_ratio", "coverage_ratio = null"),
        one("is_bound_honest", "is_lower_bound = false"),
        one("is_bound_honest", "is_lower_bound = false, liquidation_source = 'live', coverage_ratio = 0.99"),
        one("is_bound_honest", "is_lower_bound = false, liquidation_source = 'live', unvalued_order_count = 1"),
        one("is_lower_bound", "is_lower_bound = null"),
        one("is_conflict_flagged", "conflicting_order_count = 1"),
        one("is_conflict_flagged", "first_conflict = 'one'"),
        one("is_conflict_flagged", "conflicting_order_count = 1, first_conflict = 'one'"),
        one("is_conflict_flagged", "conflicting_order_count = null"),
        one(
            "is_conflict_flagged",
            "conflicting_order_count = 1, first_conflict = 'one', coverage_ratio = 0.5, is_lower_bound = false",
        ),
        one("liquidation_source", "liquidation_source = 'guess'"),
        one("liquidation_source", "liquidation_source = null"),
        one("is_venue_set_right", "venue_set = 'okx'"),
        one("is_venue_set_right", "venue_set = null"),
        one("is_venue_set_right", "venue_set = 'binance_um,simulated'", "venue = 'all'"),
        one("is_venue_set_right", "venue_set = 'binance_um,simulated_b'", "venue = 'all'"),
        one("is_id_of_parts", "market_id = 'okx:BTC-USD-SWAP'"),
        one("subscribed_symbol_count", "subscribed_symbol_count = -1", "venue = 'all'"),
        one("is_symbol_count_of_sum", "subscribed_symbol_count = 1"),
        one("is_symbol_count_of_sum", "subscribed_symbol_count = 1", "coverage_ratio = 0"),
        one("is_bound_honest", "is_lower_bound = false, subscribed_symbol_count = 5", "market_id = 'bybit:ALL'"),
    ]


CORRUPTIONS = [
    *_liquidation_corruptions(LIQUIDATIONS, ONE_LIQUIDATION_DAY),
    *_liquidation_corruptions(LIQUIDATIONS_HOURLY, ONE_LIQUIDATION_HOUR),
    *_liquidation_corruptions(LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY),
    update(
        LIQUIDATIONS,
        LIQUIDATIONS,
        ONE_LIQUIDATION_DAY,
        "conflicting_order_count",
        "conflicting_order_count = 1, first_conflict = 'one', coverage_ratio = 0.99",
        WARNING,
    ),
    Corruption(LIQUIDATIONS, "days_since_previous", f"delete from {LIQUIDATIONS} where {ONE_LIQUIDATION_DAY}", WARNING),
    update(LIQUIDATIONS_HOURLY, LIQUIDATIONS_HOURLY, ONE_LIQUIDATION_HOUR, "is_whole_hour", LATER.format("bar_at")),
    update(LIQUIDATIONS_ROLLING, LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY, "is_whole_hour", LATER.format("as_of_at")),
    Corruption(
        f"{LIQUIDATIONS_HOURLY}_widths", "long_residual", f"delete from {LIQUIDATIONS_HOURLY} where venue = 'bybit'"
    ),
    *(
        update(f"{LIQUIDATIONS_HOURLY}_widths", LIQUIDATIONS_HOURLY, f"{row} and {ONE_LIVE_HOUR}", column, change)
        for column, change in (
            ("long_residual", "long_usd = long_usd + 0.00000001"),
            ("short_residual", "short_usd = null"),
            ("count_residual", "order_count = order_count + 1"),
            ("unvalued_residual", "unvalued_order_count = unvalued_order_count + 1"),
        )
        for row in (f"market_id = '{LINEAR}'", "market_id = 'binance_um:ALL'", "venue = 'all'")
    ),
    Corruption(f"{LIQUIDATIONS}_days", "is_in_mart", f"delete from {LIQUIDATIONS} where coverage_ratio = 0"),
    Corruption(f"{LIQUIDATIONS}_days", "is_in_mart", f"delete from {LIQUIDATIONS} where venue = 'all'"),
    Corruption(
        f"{LIQUIDATIONS}_days",
        "has_hours",
        f"delete from {LIQUIDATIONS_HOURLY} where cast(bar_at as date) = date '2024-03-02'",
    ),
    *(
        update(f"{LIQUIDATIONS}_days", LIQUIDATIONS, ONE_LIQUIDATION_DAY, column, change)
        for column, change in (
            ("long_difference", "long_usd = long_usd + 0.00000001"),
            ("short_difference", "short_usd = null"),
            ("count_difference", "order_count = 2"),
            ("coverage_error", "coverage_ratio = 0"),
            ("coverage_excess", "coverage_ratio = 0.5"),
            ("surplus_rows", "order_count = 25"),
        )
    ),
    update(f"{LIQUIDATIONS}_days", LIQUIDATIONS, ABSENT_LIQUIDATION_DAY, "coverage_error", "coverage_ratio = 1"),
    Corruption(
        f"{LIQUIDATIONS_ROLLING}_windows",
        "has_hours",
        f"delete from {LIQUIDATIONS_HOURLY} where market_id = 'bybit:XRPUSDT'",
    ),
    *(
        update(f"{LIQUIDATIONS_ROLLING}_windows", LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY, column, change)
        for column, change in (
            ("long_difference", "long_usd = long_usd + 0.00000001"),
            ("short_difference", "short_usd = null"),
            ("count_difference", "order_count = order_count + 1"),
            ("is_largest_right", "largest_order_usd = null"),
            ("coverage_excess", "coverage_ratio = 0.5"),
        )
    ),
]
