"""The event study: what prices did after large events, what positions did around them, and what may be concluded."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite, Between, Holds, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import DOUBLE, SHARE

_PRICES: Final = ("entry_at", "entry_price", "exit_at", "exit_price", "forward_return")

RETURNS: Final = AuditSuite(
    name="fct_spike_forward_returns",
    mart="fct_spike_forward_returns",
    key=("definition_id", "market_id", "side", "event_at", "horizon_days"),
    sql="fct_spike_forward_returns.sql",
    description="Every large event is followed at every horizon, entered at the next bar, with nothing known early.",
    rules=(
        UniqueKey(),
        Holds("is_event", "only events of rank 20 and better are followed", ("value", "event_rank")),
        Holds("is_followed", "every event of rank 20 and better is followed at every horizon"),
        Holds("is_event_unchanged", "an event has the value and the rank that the ranks give", ("value", "event_rank")),
        Holds("is_entry_next_bar", "entry is the end of the event's bar", ("entry_at",)),
        Holds("is_exit_due", "exit is one horizon after entry", ("entry_at", "exit_at")),
        Holds("is_known_late_enough", "an event is known once its neighbourhood has passed", ("entry_at", "known_at")),
        Between("entry_price", 0, None, "prices are positive", _PRICES, strictly_above=True),
        Between("exit_price", 0, None, "prices are positive", _PRICES, strictly_above=True),
        Between("return_error", 0, DOUBLE, "return = exit / entry - 1, for the position against the crowd", _PRICES),
        Holds("is_completeness_right", "complete is what has an entry and an exit", ("is_complete", *_PRICES)),
        Between("max_adverse_excursion", -10, 0, "the worst of a position is no gain", _PRICES),
        Between("max_favourable_excursion", 0, None, "the best of a position is no loss", _PRICES),
        Holds("is_excursion_due", "an excursion ends at an exit that is known", ("is_complete",)),
    ),
)

_CHANGE: Final = ("open_interest_change_base", "due_change_base", "open_interest_change_ratio")
_LIQUIDATIONS: Final = ("long_liquidations_usd", "due_long_usd", "short_liquidations_usd", "due_short_usd")

CONTEXT: Final = AuditSuite(
    name="fct_spike_context",
    mart="fct_spike_context",
    key=("definition_id", "market_id", "side", "event_at", "horizon_hours"),
    sql="fct_spike_context.sql",
    description="Every large event has its context at every horizon: differences and sums of the marts of its hours.",
    rules=(
        UniqueKey(),
        Holds("is_event", "only events of rank 20 and better have a context", ("value", "event_rank")),
        Holds("is_followed", "every event of rank 20 and better has a context at every horizon"),
        Holds("is_event_unchanged", "an event has the value and the rank that the ranks give", ("value", "event_rank")),
        Holds("is_window_right", "the window is the event's bar and the horizon on both sides", ("from_at", "to_at")),
        Zero("change_residual", "the change is that of open interest over the window, or unknown", _CHANGE),
        Between("change_error", 0, DOUBLE, "the change is a share of what was open before", _CHANGE),
        Between("funding_coverage_ratio", 0, 1, "the coverage of fundings is a share"),
        Zero(
            "funding_residual",
            "fundings are those charged in the window, and unknown where nothing is",
            ("funding_rate", "due_funding_rate", "funding_coverage_ratio"),
        ),
        Zero("liquidations_residual", "liquidations are those of the window's hours, or unknown", _LIQUIDATIONS),
        Between("coverage_error", 0, SHARE, "the coverage of liquidations is the mean of the window's hours"),
        Holds("is_bound_honest", "what is covered in part is a lower bound", ("is_lower_bound",)),
    ),
)

_SAMPLE: Final = ("sample_size", "hit_rate", "median_return", "mean_return")

STUDY: Final = AuditSuite(
    name="agg_spike_event_study",
    mart="agg_spike_event_study",
    key=("definition_id", "market_id", "side", "horizon_days"),
    sql="agg_spike_event_study.sql",
    description="The study sums up the returns, and concludes nothing from fewer than ten events.",
    rules=(
        UniqueKey(),
        Holds("is_due", "only what is ranked is studied"),
        Holds("is_studied", "what is ranked is studied at every horizon"),
        Zero("sample_size_difference", "the sample is the events with a known return", _SAMPLE),
        Zero(
            "sample_size_when_known_difference", "the later sample is the events with a known return by then", _SAMPLE
        ),
        Between("hit_rate_error", 0, DOUBLE, "hit rate = share of positive returns", _SAMPLE),
        Between("median_error", 0, DOUBLE, "the median is that of the returns", _SAMPLE),
        Between("mean_error", 0, DOUBLE, "the mean is that of the returns", _SAMPLE),
        Between("mean_when_known_error", 0, DOUBLE, "the later mean is that of the later returns", _SAMPLE),
        Holds("is_block_count_possible", "overlapping events are one block, and never more", ("block_count", *_SAMPLE)),
        Between("baseline_hit_rate", 0, 1, "a rate is a share", ("baseline_size",)),
        Between("p_value", 0, 1, "a p-value is a probability and never zero", _SAMPLE, strictly_above=True),
        Between("p_value_when_known", 0, 1, "a p-value is a probability and never zero", _SAMPLE, strictly_above=True),
        Holds("is_refusal_due", "fewer than ten events conclude nothing", ("is_conclusive", *_SAMPLE)),
        Holds("is_p_value_due", "a p-value stands exactly where something is concluded", ("p_value", "is_conclusive")),
        Holds("is_conclusion_right", "the sentence concludes exactly where there is enough", ("conclusion", *_SAMPLE)),
    ),
)
