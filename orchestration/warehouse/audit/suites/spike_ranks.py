"""Spike ranks: every bar's rank, percentile and event within its window, under every definition."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AtLeast, AuditSuite, Between, Holds, Known, OneOf, UniqueKey, Zero

_RANKS: Final = ("spike_rank", "percentile", "opposite_rank", "window_bars")
_EVENTS: Final = ("is_event", "event_rank", "spike_rank")

RANKS: Final = AuditSuite(
    name="fct_taker_spike_ranks",
    mart="fct_taker_spike_ranks",
    key=("definition_id", "market_id", "side", "bar_at"),
    sql="fct_taker_spike_ranks.sql",
    description="Ranks, percentiles and events of each bar agree with each other, their window and its coverage.",
    rules=(
        UniqueKey(),
        Holds("is_defined", "the definition stands in spike_definitions"),
        Holds("is_of_its_venue", "a definition of a venue ranks that venue's markets alone"),
        OneOf("side", ("bearish", "bullish"), "a spike is bearish or bullish"),
        Between("bar_sides", 2, 2, "each bar is ranked on both sides, once"),
        Between("percentile", 0, 1, "a percentile is a share", _RANKS),
        Between("percentile_error", 0, 1e-6, "percentile x (n - 1) = the bars that the other side ranks above", _RANKS),
        Between("tied_bars", 0, None, "more, less and equally extreme bars fill the window", _RANKS),
        Between("spike_rank", 1, None, "a rank begins at 1", _RANKS),
        Between("window_bars", 1, None, "a window holds its own bar"),
        AtLeast("window_size_bars", "window_bars", "a window holds no more bars than it is long"),
        Between("coverage_ratio", 0, 1, "coverage is a share"),
        Between("bar_coverage_ratio", 0, 1, "coverage is a share"),
        Known("bar_coverage_ratio", "a bar's own coverage is known"),
        Holds(
            "is_rank_covered",
            "no rank where window or bar are covered by less than 95 %",
            ("spike_rank", "coverage_ratio", "bar_coverage_ratio"),
        ),
        Holds("is_rank_of_ended", "no rank of a running bar", ("spike_rank", "is_running")),
        Holds(
            "is_rank_of_one_set",
            "no rank of a sum whose markets changed inside the window",
            ("spike_rank", "set_changed_at"),
        ),
        Holds("is_running_provisional", "a running bar is provisional", ("is_running",)),
        Holds("is_change_of_sum", "only sums over venues can change their markets", ("set_changed_at",)),
        Holds("is_venue_set_named", "the venues of a sum are named, and a market has one"),
        Holds("is_quality_stated", "a value states what its bars rest on", ("flow_quality",)),
        Holds(
            "is_reason_right",
            "a bar without a rank states why, and only such a bar",
            ("unranked_reason", "spike_rank", "coverage_ratio", "bar_coverage_ratio"),
        ),
        Holds("is_rank_given", "a covered bar in a covered window has a rank", ("spike_rank", "coverage_ratio")),
        Holds("is_event_ranked", "an event rank stands exactly at ranked events", _EVENTS),
        Holds("is_event_ripe", "an event is known only once its neighbourhood has passed", _EVENTS),
        Between("event_rank", 1, None, "a rank begins at 1", _EVENTS),
        AtLeast("spike_rank", "event_rank", "events are fewer than bars: event rank <= spike rank", _EVENTS),
    ),
    follows_changes=True,
)

_LAST: Final = ("last_complete_date", "last_ranked_date", "ranked_bars")

RANKS_DEFINITIONS: Final = AuditSuite(
    name="fct_taker_spike_ranks_definitions",
    mart="fct_taker_spike_ranks",
    key=("definition_id", "market_id"),
    sql="fct_taker_spike_ranks_definitions.sql",
    description="Every definition is filled up to the market's last complete day, from the daily mart's numbers.",
    rules=(
        Between("days_behind", None, 0, "every definition reaches the last complete day of the market", _LAST),
        Zero("days_without_rank", "every day of the daily mart stands under every daily definition", _LAST),
        # A ratio is a double in one mart and a decimal of 8 places in the other.
        Between("largest_value_difference", 0, 1e-8, "a daily definition ranks the daily mart's value"),
    ),
)
