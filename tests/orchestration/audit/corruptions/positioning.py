"""What may go wrong in open interest, the venue's ratios and fundings."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import CRITICAL, WARNING
from tests.orchestration.audit.corruption import (
    BRIEF,
    FUNDINGS,
    LINEAR,
    ONE_DAY,
    ONE_HOUR,
    OPEN_INTEREST_DAILY,
    OPEN_INTEREST_HOURLY,
    RATIOS,
    Corruption,
    update,
)

SAME_HOUR_NEXT_DAY = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-11 05:00'"
NEXT_HOUR = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-10 06:00'"
NEXT_DAY = f"market_id = '{LINEAR}' and bar_date = date '2024-03-11'"
HOUR_OF_DAY = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-10 23:00'"
BRIEF_OF_DAY = f"market_id = '{LINEAR}' and bar_date = date '2024-03-10'"
CONTRADICTED = (
    "is_in_conflict = true, conflict = 'too much', open_interest_base = null, open_interest_usd = null, "
    "change_24h_base = null, change_24h_ratio = null"
)


def _open_interest_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a mart of open interest; `row` selects one hour or day."""

    def one(column: str, change: str, severity: str = CRITICAL) -> Corruption:
        return update(mart, mart, row, column, change, severity)

    key = "market_id, bar_at" if mart.endswith("hourly") else "market_id, bar_date"
    return [
        Corruption(mart, key, f"insert into {mart} select * from {mart} where {row}"),
        one("is_venue_of_market", "venue = 'okx'"),
        one("is_observed_in_time", "observed_at = observed_at + interval 1 day"),
        one("is_observed_in_time", "observed_at = observed_at - interval 1 day"),
        one("is_observation_counted", "observation_count = 0"),
        one("coverage_error", "coverage_ratio = 0.5"),
        one("coverage_error", "coverage_ratio = null"),
        one("open_interest_base", "open_interest_base = 0"),
        one("open_interest_usd", "open_interest_usd = -1"),
        one("change_24h_residual", "change_24h_base = change_24h_base + 0.00000001"),
        one("change_24h_residual", "change_24h_base = null"),
        one("change_24h_error", "change_24h_ratio = change_24h_ratio + 0.01"),
        one("change_24h_error", "change_24h_ratio = null"),
        one("is_conflict_excluded", "is_in_conflict = true, conflict = 'too much'"),
        one("is_conflict_excluded", "open_interest_usd = null"),
        one("is_conflict_excluded", "conflict = 'too much'"),
    ]


DAYS = f"{FUNDINGS}_days"
ONE_FUNDING = f"market_id = '{LINEAR}' and funded_at = timestamp '2024-03-10 08:00'"
CONFLICT = "is_in_conflict = true, conflict = 'too much', funding_rate = null, annualised_rate = null"

CORRUPTIONS = [
    *_open_interest_corruptions(OPEN_INTEREST_HOURLY, ONE_HOUR),
    update(
        OPEN_INTEREST_HOURLY, OPEN_INTEREST_HOURLY, ONE_HOUR, "is_whole_hour", "bar_at = bar_at + interval 1 minute"
    ),
    update(
        OPEN_INTEREST_HOURLY, OPEN_INTEREST_HOURLY, ONE_HOUR, "change_1h_residual", "change_1h_base = -change_1h_base"
    ),
    update(
        OPEN_INTEREST_HOURLY, OPEN_INTEREST_HOURLY, ONE_HOUR, "change_1h_error", "change_1h_ratio = -change_1h_ratio"
    ),
    # As the models show a conflict: nothing is compared with it.
    Corruption(
        OPEN_INTEREST_HOURLY,
        "is_consistent",
        f"update {OPEN_INTEREST_HOURLY} set {CONTRADICTED}, change_1h_base = null, change_1h_ratio = null "
        f"where {ONE_HOUR};"
        f"update {OPEN_INTEREST_HOURLY} set change_1h_base = null, change_1h_ratio = null where {NEXT_HOUR};"
        f"update {OPEN_INTEREST_HOURLY} set change_24h_base = null, change_24h_ratio = null where {SAME_HOUR_NEXT_DAY}",
        WARNING,
    ),
    *_open_interest_corruptions(OPEN_INTEREST_DAILY, ONE_DAY),
    update(OPEN_INTEREST_DAILY, OPEN_INTEREST_HOURLY, HOUR_OF_DAY, "is_that_of_its_hour", "open_interest_base = 1001"),
    Corruption(OPEN_INTEREST_DAILY, "is_that_of_its_hour", f"delete from {OPEN_INTEREST_HOURLY} where {HOUR_OF_DAY}"),
    update(OPEN_INTEREST_DAILY, BRIEF, BRIEF_OF_DAY, "is_the_briefs", "open_interest = 1001"),
    Corruption(
        OPEN_INTEREST_DAILY,
        "is_consistent",
        f"update {OPEN_INTEREST_DAILY} set {CONTRADICTED} where {ONE_DAY};"
        f"update {BRIEF} set open_interest = null where {BRIEF_OF_DAY};"
        f"update {OPEN_INTEREST_DAILY} set change_24h_base = null, change_24h_ratio = null where {NEXT_DAY}",
        WARNING,
    ),
    Corruption(RATIOS, "market_id, bar_at", f"insert into {RATIOS} select * from {RATIOS} where {ONE_HOUR}"),
    Corruption(RATIOS, "is_of_open_interest", f"delete from {RATIOS} where {ONE_HOUR}"),
    Corruption(RATIOS, "is_of_open_interest", f"delete from {OPEN_INTEREST_HOURLY} where {ONE_HOUR}"),
    update(RATIOS, RATIOS, ONE_HOUR, "is_venue_of_market", "venue = 'okx'"),
    update(RATIOS, RATIOS, ONE_HOUR, "is_whole_hour", "bar_at = bar_at + interval 1 minute"),
    update(RATIOS, RATIOS, ONE_HOUR, "is_observed_in_time", "observed_at = observed_at + interval 1 hour"),
    update(RATIOS, RATIOS, ONE_HOUR, "is_observation_counted", "observation_count = 0"),
    update(RATIOS, RATIOS, ONE_HOUR, "coverage_error", "coverage_ratio = 0.5"),
    *(
        update(RATIOS, RATIOS, ONE_HOUR, ratio, f"{ratio} = 0")
        for ratio in (
            "top_trader_account_long_short_ratio",
            "top_trader_position_long_short_ratio",
            "account_long_short_ratio",
            "taker_buy_sell_ratio",
        )
    ),
    Corruption(
        FUNDINGS, "market_id, funded_at", f"insert into {FUNDINGS} select * from {FUNDINGS} where {ONE_FUNDING}"
    ),
    update(FUNDINGS, FUNDINGS, ONE_FUNDING, "is_day_right", "bar_date = date '2024-03-11'"),
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
        DAYS, "has_fundings", f"delete from {FUNDINGS} where market_id = '{LINEAR}' and bar_date = '2024-03-10'"
    ),
    update(DAYS, FUNDINGS, ONE_FUNDING, "rate_error", "funding_rate = 0.0002"),
]
