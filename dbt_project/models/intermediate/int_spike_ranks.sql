-- One row per definition, market, side and bar: how extreme the bar is in its trailing window, and whether it is a
-- spike of its own.
{%- set keys = ['definition_id', 'market_id'] %}

with windowed as (
    select
        definition_id,
        market_id,
        venue,
        venue_set,
        bar_at,
        is_provisional,
        is_running,
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

judged as (
    select
        windowed.*,
        {{ is_rankable() }} as is_rankable,
        {{ window_coverage() }} as window_coverage_ratio,
        -- Whether a later bar is more extreme is known only once that much time has passed.
        last_bar_at >= bar_at + {{ hours_as_interval('decluster_hours') }} as is_settled,
        (cast(value as double) - {{ quartile('prior_quartiles', 2) }})
        / nullif(({{ quartile('prior_quartiles', 3) }} - {{ quartile('prior_quartiles', 1) }}) / 1.349, 0) as prior_z
    from windowed
),

sides as (
    select
        judged.*,
        'bearish' as side,
        pressure as side_pressure,
        rank_from_lowest as side_rank,
        rank_from_highest as opposite_rank,
        case when is_settled then pressure = lowest_nearby end as is_event
    from judged
    union all
    select
        judged.*,
        'bullish' as side,
        -pressure as side_pressure,
        rank_from_highest as side_rank,
        rank_from_lowest as opposite_rank,
        case when is_settled then pressure = highest_nearby end as is_event
    from judged
),

-- Every event before a settled bar is settled as well, so the events of its window are all known.
events as (
    select
        definition_id,
        market_id,
        side,
        bar_at,
        {{ framed_rank('side_pressure asc', 'trailing_window') }} as rank_among_events
    from sides
    where is_event
    window trailing_window as {{ trailing_frame(keys + ['side']) }}
)

select
    sides.definition_id,
    sides.market_id,
    sides.venue,
    sides.venue_set,
    sides.side,
    sides.bar_at,
    sides.value,
    case when sides.is_rankable then sides.side_rank end as spike_rank,
    case when sides.is_rankable then {{ strict_percentile('sides.opposite_rank') }} end as percentile,
    case when sides.is_rankable then sides.prior_z end as robust_z,
    sides.window_bars,
    sides.window_coverage_ratio as coverage_ratio,
    sides.is_event,
    case when sides.is_rankable then events.rank_among_events end as event_rank,
    cast(sides.coverage_ratio as double) as bar_coverage_ratio,
    sides.is_provisional,
    coalesce(sides.is_running, false) as is_running,
    sides.set_changed_at
from sides
left join events
    on sides.definition_id = events.definition_id
    and sides.market_id = events.market_id
    and sides.side = events.side
    and sides.bar_at = events.bar_at
