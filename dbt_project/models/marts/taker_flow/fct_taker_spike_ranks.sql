-- One row per definition, market, side and bar: how extreme the bar is in its trailing window, and whether it is a
-- spike of its own.
select
    definition_id,
    market_id,
    venue,
    venue_set,
    side,
    bar_at,
    value,
    spike_rank,
    percentile,
    robust_z,
    window_bars,
    coverage_ratio,
    is_event,
    event_rank,
    bar_coverage_ratio,
    is_provisional,
    is_running,
    set_changed_at,
    flow_quality
from {{ ref('int_spike_ranks') }}
order by definition_id, market_id, side, bar_at
