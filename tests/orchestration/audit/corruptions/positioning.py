"""What may go wrong in fundings."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.corruption import FUNDINGS, LINEAR, Corruption, update

DAYS = f"{FUNDINGS}_days"
ONE_FUNDING = f"market_id = '{LINEAR}' and funded_at = timestamp '2024-03-10 08:00'"
CONFLICT = "is_in_conflict = true, conflict = 'too much', funding_rate = null, annualised_rate = null"

CORRUPTIONS = [
    Corruption(
        FUNDINGS, "market_id, funded_at", f"insert into {FUNDINGS} select * from {FUNDINGS} where {ONE_FUNDING}"
    ),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "is_day_right", "trade_date = date '2024-03-11'"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "is_venue_of_market", "venue = 'okx'"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "funding_interval_hours", "funding_interval_hours = 0"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "funding_rate", "funding_rate = -0.06"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "annual_error", "annualised_rate = 0.1096"),
    # The hours are taken for the rate's own.
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "annual_error", "annualised_rate = funding_rate * 365"),
    update(
        FUNDINGS,
        FUNDINGS,
        ONE_FUNDING,
        "cumulative_residual",
        "cumulative_rate = cumulative_rate + 1e-18::decimal(38, 18)",
    ),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "cumulative_residual", "cumulative_rate = null"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "missing_residual", "missing_hours = 8"),
    # A lost funding is no loss of the sum that lacks it: the one after it states the hours.
    Corruption(FUNDINGS, "missing_residual", f"delete from {FUNDINGS} where {ONE_FUNDING}"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "missing_sum_residual", "cumulative_missing_hours = 8"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "is_conflict_excluded", "is_in_conflict = true, conflict = 'too much'"),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "is_conflict_excluded", "funding_rate = null"),
    # As the models show a conflict: in no sum, and its hours are missing ones of the next.
    Corruption(
        FUNDINGS,
        "is_consistent",
        f"update {FUNDINGS} set {CONFLICT} where {ONE_FUNDING};"
        f"update {FUNDINGS} set missing_hours = 8 where market_id = '{LINEAR}' and funded_at = timestamp "
        "'2024-03-10 16:00';"
        f"update {FUNDINGS} set cumulative_rate = cumulative_rate - 0.0001 where market_id = '{LINEAR}' "
        "and funded_at >= timestamp '2024-03-10 08:00';"
        f"update {FUNDINGS} set cumulative_missing_hours = 8 where market_id = '{LINEAR}' "
        "and funded_at >= timestamp '2024-03-10 16:00'",
        WARNING,
    ),
    Corruption(
        DAYS, "has_fundings", f"delete from {FUNDINGS} where market_id = '{LINEAR}' and trade_date = '2024-03-10'"
    ),
    update(DAYS, FUNDINGS, ONE_FUNDING, "rate_error", "funding_rate = 0.0002"),
]
