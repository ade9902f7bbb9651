"""Dominance: percentiles of the daily sell ratio within their window."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Between, Holds, UniqueKey
from orchestration.warehouse.audit.tolerances import DOUBLE

_PERCENTILES: Final = ("sell_dominance_percentile", "buy_dominance_percentile", "window_bars")
_COUNT: Final = 1e-6

DOMINANCE: Final = AuditSuite(
    name="fct_taker_dominance_daily",
    mart="fct_taker_dominance_daily",
    key=("market_id", "bar_date"),
    sql="fct_taker_dominance_daily.sql",
    description="Percentiles count whole days of their window, exist where it is covered, and leave no day out.",
    rules=(
        UniqueKey(),
        Holds("is_in_daily", "dominance has no day that the daily mart has not"),
        Holds("is_in_dominance", "dominance has every day on which anything was traded"),
        Between("taker_sell_ratio", 0, 1, "the sell ratio is a share"),
        Between("sell_ratio_error", 0, DOUBLE, "the sell ratio is the daily mart's", ("daily_taker_sell_ratio",)),
        Between("sell_dominance_percentile", 0, 1, "a percentile is a share", _PERCENTILES),
        Between("buy_dominance_percentile", 0, 1, "a percentile is a share", _PERCENTILES),
        Between("less_sold_fraction", 0, _COUNT, "the percentile counts whole days", _PERCENTILES),
        Between("more_sold_fraction", 0, _COUNT, "the percentile counts whole days", _PERCENTILES),
        Between("tied_days", -_COUNT, None, "less sold, more sold and tied days fill the window", _PERCENTILES),
        Between("window_bars", 1, None, "a window holds its own day"),
        Between("days_outside_window", 0, None, "a window holds no more days than it is long", ("window_days",)),
        Between("coverage_ratio", 0, 1, "coverage is a share"),
        Holds(
            "is_percentile_due",
            "a percentile exists exactly where window and day are covered by 95 %, of ended days and unchanged sums",
            (*_PERCENTILES, "coverage_ratio", "day_coverage_ratio", "is_running", "set_changed_at"),
        ),
        Holds("is_reason_stated", "a day without a percentile states why, and only such a day", ("unranked_reason",)),
        Holds("is_state_right", "a day is as provisional as in the daily mart, and of its venues"),
    ),
)
