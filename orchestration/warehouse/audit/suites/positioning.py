"""Funding: its sums, what they lack, and that no rate in conflict is shown.

Belongs here: the suites of the marts of `positioning`. Does not: the flow (`net_taker_volume`), liquidations.
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE

_CONFLICT: Final = ("funding_rate", "conflict")

FUNDINGS: Final = AuditSuite(
    name="fct_funding_rates",
    mart="fct_funding_rates",
    key=("market_id", "funded_at"),
    sql="fct_funding_rates.sql",
    description="Every funding has its rate over a year and the sum since the first, and none in conflict is shown.",
    rules=(
        UniqueKey(),
        Holds("is_day_right", "a funding belongs to the day of its time", ("trade_date",)),
        Holds("is_venue_of_market", "the venue is the market's", ("venue",)),
        Between("funding_interval_hours", 1, 24, "a funding is for at most a day"),
        Between("funding_rate", -0.05, 0.05, "no rate is beyond what any venue charges"),
        Between("annual_error", 0, DOUBLE, "a year is 8760 hours of the rate", ("funding_rate", "annualised_rate")),
        Zero("cumulative_residual", "the sum is that of the rates so far, to the last digit", ("cumulative_rate",)),
        Zero("missing_residual", "hours between two rates that neither is for are missing", ("missing_hours",)),
        Zero("missing_sum_residual", "missing hours are summed", ("missing_hours", "cumulative_missing_hours")),
        Holds("is_conflict_excluded", "a rate in conflict is not shown, and any other is", _CONFLICT),
        Holds("is_consistent", "every published rate is one that a venue charges", _CONFLICT, WARNING),
    ),
)

FUNDING_DAYS: Final = AuditSuite(
    name="fct_funding_rates_days",
    mart="fct_funding_rates",
    key=("market_id", "trade_date"),
    sql="fct_funding_rates_days.sql",
    description="The brief's funding of a day is the sum of the day's fundings.",
    rules=(
        Holds("has_fundings", "a day of which the brief states a funding has fundings", ("stated_rate",)),
        Between("rate_error", 0, DOUBLE, "the brief's funding is their sum", ("stated_rate", "funding_rate")),
    ),
)
