-- One row per definition, market, side and bar: how extreme the bar is in its trailing window, and whether it is a
-- spike of its own.
{%- set keys = ['definition_id', 'market_id'] %}

with windowed_bars as (
    select
        definition_id,
        market_id,
        venue,
        venue_set,
        bar_at,
        is_provisional,
        is_running,
        flow_quality,
        set_changed_at,
        bar_hours,
        window_hours,
        decluster_hours,
        value,
        pressure,
        coverage_ratio,
        {{ trailing_columns() }},
        {{ framed_quartiles('value', 'prior_window') }} as prior_quartiles,
        min(pressure) over neighbours as lowest_nearby,
        max(pressure) over neighbours as highest_nearby,
        max(case when is_running is not true then bar_at end) over series as last_bar_at
    from {{ ref('int_spike_values') }}
    window
        trailing_window as {{ trailing_frame(keys) }},
        prior_window as {{ prior_frame(keys) }},
        neighbours as (
            partition by {{ keys | join(', ') }}
            order by bar_at
            range between {{ hours_as_interval('decluster_hours') }} preceding
                and {{ hours_as_interval('decluster_hours') }} following
        ),
        series as (partition by {{ keys | join(', ') }})
),

judged_bars as (
    select
        windowed_bars.*,
        {{ is_rankable() }} as is_rankable,
        {{ window_coverage() }} as window_coverage_ratio,
        -- Whether a later bar is more extreme is known only once that much time has passed.
        last_bar_at >= bar_at + {{ hours_as_interval('decluster_hours') }} as is_settled,
        (cast(value as double) - {{ quartile('prior_quartiles', 2) }})
        / nullif(({{ quartile('prior_quartiles', 3) }} - {{ quartile('prior_quartiles', 1) }}) / 1.349, 0) as prior_z
    from windowed_bars
),

bars_by_side as (
    select
        judged_bars.*,
        'bearish' as side,
        pressure as side_pressure,
        rank_from_lowest as side_rank,
        rank_from_highest as opposite_rank,
        case when is_settled then pressure = lowest_nearby end as is_event
    from judged_bars
    union all
    select
        judged_bars.*,
        'bullish' as side,
        -pressure as side_pressure,
        rank_from_highest as side_rank,
        rank_from_lowest as opposite_rank,
        case when is_settled then pressure = highest_nearby end as is_event
    from judged_bars
),

-- Every event before a settled bar is settled as well, so the events of its window are all known.
ranked_events as (
    select
        definition_id,
        market_id,
        side,
        bar_at,
        {{ framed_rank('side_pressure asc', 'trailing_window') }} as rank_among_events
    from bars_by_side
    where is_event
    window trailing_window as {{ trailing_frame(keys + ['side']) }}
)

select
    bars_by_side.definition_id,
    bars_by_side.market_id,
    bars_by_side.venue,
    bars_by_side.venue_set,
    bars_by_side.side,
    bars_by_side.bar_at,
    bars_by_side.value,
    case when bars_by_side.is_rankable then bars_by_side.side_rank end as spike_rank,
    case when bars_by_side.is_rankable then {{ strict_percentile('bars_by_side.opposite_rank') }} end as percentile,
    case when bars_by_side.is_rankable then bars_by_side.prior_z end as robust_z,
    bars_by_side.window_bars,
    bars_by_side.window_coverage_ratio as coverage_ratio,
    bars_by_side.is_event,
    case when bars_by_side.is_rankable then ranked_events.rank_among_events end as event_rank,
    cast(bars_by_side.coverage_ratio as double) as bar_coverage_ratio,
    bars_by_side.is_provisional,
    coalesce(bars_by_side.is_running, false) as is_running,
    bars_by_side.set_changed_at,
    bars_by_side.flow_quality
from bars_by_side
left join ranked_events
    on bars_by_side.definition_id = ranked_events.definition_id
    and bars_by_side.market_id = ranked_events.market_id
    and bars_by_side.side = ranked_events.side
    and bars_by_side.bar_at = ranked_events.bar_at
