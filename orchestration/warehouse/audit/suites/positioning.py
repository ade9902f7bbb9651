"""Open interest, the venue's ratios and fundings: identities, times, and that nothing in conflict is shown.

Belongs here: the suites of the marts of `positioning`. Does not: the flow (`net_taker_volume`), liquidations.
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, Rule, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE, SHARE

_AMOUNTS: Final = ("open_interest_base", "open_interest_usd")
_CONFLICT: Final = ("funding_rate", "conflict")
_OBSERVED: Final = ("observed_at", "observation_count")


def _change(hours: int) -> tuple[Rule, ...]:
    shown = ("open_interest_base", f"base_{hours}h_before", f"change_{hours}h_base", f"change_{hours}h_ratio")
    return (
        Zero(f"change_{hours}h_residual", f"a change is the difference to {hours} h before, or unknown", shown),
        Between(f"change_{hours}h_error", 0, DOUBLE, f"a change is a share of what was open {hours} h before", shown),
    )


_OPEN_INTEREST: Final[tuple[Rule, ...]] = (
    UniqueKey(),
    Holds("is_venue_of_market", "the venue is the market's", ("venue",)),
    Holds("is_observed_in_time", "an observation is of its hour or day", ("observed_at",)),
    Holds("is_observation_counted", "what is observed is counted, and nothing else", _OBSERVED),
    Between("coverage_error", 0, SHARE, "coverage is the share of the five minutes that were observed", _OBSERVED),
    Between("open_interest_base", 0, None, "open interest is positive", _AMOUNTS, strictly_above=True),
    Between("open_interest_usd", 0, None, "open interest is positive, in USD", _AMOUNTS, strictly_above=True),
    *_change(24),
    Holds("is_conflict_excluded", "what is in conflict is not shown, and whatever else was observed is", _AMOUNTS),
    Holds("is_consistent", "open interest agrees with prices, volumes and its neighbours", ("conflict",), WARNING),
)

OPEN_INTEREST_HOURLY: Final = AuditSuite(
    name="fct_open_interest_hourly",
    mart="fct_open_interest_hourly",
    key=("market_id", "bar_at"),
    sql="fct_open_interest.sql",
    description="Every hour of open interest is observed in it, compared rightly, and shown unless contradicted.",
    rules=(
        *_OPEN_INTEREST,
        Holds("is_whole_hour", "an hour begins on the hour"),
        *_change(1),
    ),
)

OPEN_INTEREST_DAILY: Final = AuditSuite(
    name="fct_open_interest_daily",
    mart="fct_open_interest_daily",
    key=("market_id", "bar_date"),
    sql="fct_open_interest.sql",
    description="Every day of open interest is that of its last hour and of the brief, and compared rightly.",
    rules=(
        *_OPEN_INTEREST,
        Holds("is_that_of_its_hour", "a day's open interest is that of the hour in which it was observed", _AMOUNTS),
        Holds("is_the_briefs", "the brief states the same open interest", _AMOUNTS),
    ),
)

RATIOS: Final = AuditSuite(
    name="fct_long_short_ratios",
    mart="fct_long_short_ratios",
    key=("market_id", "bar_at"),
    sql="fct_long_short_ratios.sql",
    description="Every hour of the venue's ratios is observed in it, and is an hour of open interest.",
    rules=(
        UniqueKey(),
        Holds("is_of_open_interest", "the hours of the ratios are those of open interest"),
        Holds("is_venue_of_market", "the venue is the market's", ("venue",)),
        Holds("is_whole_hour", "an hour begins on the hour"),
        Holds("is_observed_in_time", "an observation is of its hour", ("observed_at",)),
        Holds("is_observation_counted", "what is observed is counted, and nothing else", _OBSERVED),
        Between("coverage_error", 0, SHARE, "coverage is the share of the five minutes that were observed", _OBSERVED),
        *(
            Between(ratio, 0, None, "a ratio of two sides is positive", strictly_above=True)
            for ratio in (
                "top_trader_account_long_short_ratio",
                "top_trader_position_long_short_ratio",
                "account_long_short_ratio",
                "taker_buy_sell_ratio",
            )
        ),
    ),
)


FUNDINGS: Final = AuditSuite(
    name="fct_funding_rates",
    mart="fct_funding_rates",
    key=("market_id", "funded_at"),
    sql="fct_funding_rates.sql",
    description="Every funding has its rate over a year and the sum since the first, and none in conflict is shown.",
    rules=(
        UniqueKey(),
        Holds("is_day_right", "a funding belongs to the day of its time", ("bar_date",)),
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
    key=("market_id", "bar_date"),
    sql="fct_funding_rates_days.sql",
    description="The brief's funding of a day is the sum of the day's fundings.",
    rules=(
        Holds("has_fundings", "a day of which the brief states a funding has fundings", ("stated_rate",)),
        Between("rate_error", 0, DOUBLE, "the brief's funding is their sum", ("stated_rate", "funding_rate")),
    ),
)
