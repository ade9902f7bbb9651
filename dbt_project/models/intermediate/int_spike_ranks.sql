-- One row per definition, market, side and bar: how extreme the bar is in its trailing window, and whether it is a
-- spike of its own.
-- Longer than 100 lines: what `int_rank_changes` names is replaced, and there are two ways to the same figures of a
-- window: a series is ranked in one pass, and each of a few bars is compared with its window. Bars before these, of
-- which nothing but the events may differ, keep their ranks.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {
        'changes': 'int_rank_changes', 'keys': ['definition_id', 'market_id'], 'instant': 'bar_at',
    }},
) }}
{%- set keys = ['definition_id', 'market_id'] %}
{%- set changes = changes_in('int_rank_changes') %}
{%- set definitions = changes_in('int_spike_definitions') %}
{%- set replaces = replaces_changes() %}
{%- set compares_few = replaces and bars_compared_singly() > 0 %}
{%- set ranked_columns = [
    'definition_id', 'market_id', 'venue', 'venue_set', 'side', 'bar_at', 'value', 'spike_rank', 'percentile',
    'robust_z',
] %}
{%- set event_columns = [
    'definition_id', 'market_id', 'side', 'bar_at', 'side_pressure', 'bar_coverage_ratio', 'window_hours',
] %}
{%- set series_columns = [
    'bar_at', 'value', 'pressure', 'coverage_ratio', 'window_hours', 'decluster_hours', 'is_running',
] %}
{%- set bar_columns = [
    'definition_id', 'market_id', 'venue', 'venue_set', 'bar_at', 'is_provisional', 'is_running', 'flow_quality',
    'set_changed_at', 'bar_hours', 'window_hours', 'decluster_hours', 'value', 'pressure', 'coverage_ratio',
] %}

with series as (
    select
        {%- for column in bar_columns %}
        bars.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_spike_values') }} as bars
    {%- if replaces %}
    inner join {{ changes }} as changes
        on bars.definition_id = changes.definition_id and bars.market_id = changes.market_id and not changes.is_few
    {%- endif %}
),

ranked_series as (
    select *
    from {{ windowed('series', bar_columns, keys, has_neighbours=true) }} as windowed_series
),
{% if compares_few %}
few_changes as (
    select
        definition_id,
        market_id,
        from_at,
        to_at,
        values_from_at,
        row_number() over (order by definition_id, market_id) as series_id
    from {{ changes }}
    where is_few
),

-- As far back as a window, or that of an event before it, reaches.
few_series as (
    select
        changes.series_id,
        changes.from_at,
        changes.to_at,
        changes.values_from_at,
        {%- for column in series_columns %}
        bars.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_spike_values') }} as bars
    inner join few_changes as changes
        on bars.definition_id = changes.definition_id and bars.market_id = changes.market_id
        and bars.bar_at
        >= changes.from_at - {{ hours_as_interval('bars.window_hours + bars.decluster_hours') }}
),

few_bars as (
    select series_id, bar_at, window_hours, row_number() over (order by series_id, bar_at) as bar_number
    from few_series
    where bar_at >= values_from_at and bar_at < to_at
),

few_standings as (
    select * from {{ standings_of_few('few_bars', 'few_series') }} as standings
),

few_neighbours as (
    select
        series_id,
        bar_at,
        from_at,
        to_at,
        min(pressure) over neighbours as lowest_nearby,
        max(pressure) over neighbours as highest_nearby
    from few_series
    where bar_at >= from_at - {{ hours_as_interval('decluster_hours') }}
        and bar_at < to_at + {{ hours_as_interval('decluster_hours') }}
    window neighbours as (
        partition by series_id
        order by bar_at
        range between {{ hours_as_interval('decluster_hours') }} preceding
            and {{ hours_as_interval('decluster_hours') }} following
    )
),

few_ends as (
    select series_id, max(case when is_running is not true then bar_at end) as last_bar_at
    from few_series
    group by series_id
),

-- What stands of these series before the first bar with another window: rows that may be events no longer, and the
-- events before them.
kept_bars as (
    select
        kept.*,
        case kept.side when 'bearish' then bars.pressure else -bars.pressure end as side_pressure,
        bars.window_hours,
        bars.decluster_hours,
        neighbours.lowest_nearby,
        neighbours.highest_nearby,
        ends.last_bar_at
    from {{ this }} as kept
    inner join few_changes as changes
        on kept.definition_id = changes.definition_id and kept.market_id = changes.market_id
        and kept.bar_at >= changes.from_at and kept.bar_at < changes.values_from_at
    inner join few_series as bars on changes.series_id = bars.series_id and kept.bar_at = bars.bar_at
    left join few_neighbours as neighbours
        on bars.series_id = neighbours.series_id and bars.bar_at = neighbours.bar_at
    inner join few_ends as ends on bars.series_id = ends.series_id
    where kept.bar_at >= {{ least_of(changes, 'from_at', 'is_few') }}
),

former_events as (
    select
        kept.definition_id,
        kept.market_id,
        kept.side,
        kept.bar_at,
        case kept.side
            when 'bearish' then {{ pressure_of('kept.value', 'definitions.unit') }}
            else -{{ pressure_of('kept.value', 'definitions.unit') }}
        end as side_pressure,
        kept.bar_coverage_ratio,
        cast(definitions.window_hours as bigint) as window_hours
    from {{ this }} as kept
    inner join few_changes as changes
        on kept.definition_id = changes.definition_id and kept.market_id = changes.market_id
        and kept.bar_at < changes.from_at
    inner join {{ definitions }} as definitions on kept.definition_id = definitions.definition_id
    where kept.is_event
        and kept.bar_at
        >= changes.from_at - {{ hours_as_interval('definitions.window_hours + definitions.decluster_hours') }}
),
{% endif %}
windowed_bars as (
    select * from ranked_series
    {%- if compares_few %}
    union all
    select
        {%- for column in bar_columns %}
        bars.{{ column }},
        {%- endfor %}
        standings.rank_from_lowest,
        standings.rank_from_highest,
        standings.window_bars,
        standings.covered_bars,
        standings.prior_quartiles,
        neighbours.lowest_nearby,
        neighbours.highest_nearby,
        ends.last_bar_at
    from few_bars
    inner join few_changes as changes on few_bars.series_id = changes.series_id
    inner join {{ ref('int_spike_values') }} as bars
        on changes.definition_id = bars.definition_id and changes.market_id = bars.market_id
        and few_bars.bar_at = bars.bar_at
    inner join few_standings as standings on few_bars.bar_number = standings.bar_number
    inner join few_neighbours as neighbours
        on few_bars.series_id = neighbours.series_id and few_bars.bar_at = neighbours.bar_at
    inner join few_ends as ends on few_bars.series_id = ends.series_id
    {%- endif %}
),

judged_bars as (
    select
        windowed_bars.*,
        {{ is_rankable() }} as is_rankable,
        {{ window_coverage() }} as window_coverage_ratio,
        -- Whether a later bar is more extreme is known only once that much time has passed.
        last_bar_at >= bar_at + {{ hours_as_interval('decluster_hours') }} as is_settled,
        ({{ exact_as_double('value', 8) }} - {{ quartile('prior_quartiles', 2) }})
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

ranked_bars as (
    select
        definition_id,
        market_id,
        venue,
        venue_set,
        side,
        bar_at,
        value,
        case when is_rankable then side_rank end as spike_rank,
        case when is_rankable then {{ strict_percentile('opposite_rank') }} end as percentile,
        case when is_rankable then prior_z end as robust_z,
        {{ unranked_reason('is_rankable', 'window_coverage_ratio') }} as unranked_reason,
        window_bars,
        window_coverage_ratio as coverage_ratio,
        is_event,
        cast(coverage_ratio as double) as bar_coverage_ratio,
        is_provisional,
        coalesce(is_running, false) as is_running,
        set_changed_at,
        flow_quality,
        side_pressure,
        window_hours
    from bars_by_side
    {%- if compares_few %}
    union all
    select
        {%- for column in ranked_columns %}
        kept.{{ column }},
        {%- endfor %}
        kept.unranked_reason,
        kept.window_bars,
        kept.coverage_ratio,
        case
            when kept.last_bar_at >= kept.bar_at + {{ hours_as_interval('kept.decluster_hours') }}
                then kept.side_pressure
                    = case kept.side when 'bearish' then kept.lowest_nearby else -kept.highest_nearby end
        end as is_event,
        kept.bar_coverage_ratio,
        kept.is_provisional,
        kept.is_running,
        kept.set_changed_at,
        kept.flow_quality,
        kept.side_pressure,
        kept.window_hours
    from kept_bars as kept
    {%- endif %}
),

events as (
    select
        {%- for column in event_columns %}
        bars.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ranked_bars as bars
    {%- if compares_few %}
    left join few_changes
        on bars.definition_id = few_changes.definition_id and bars.market_id = few_changes.market_id
    {%- endif %}
    where bars.is_event {{ 'and few_changes.series_id is null' if compares_few }}
),
{% if compares_few %}
few_events as (
    select
        {%- for column in event_columns %}
        bars.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ranked_bars as bars
    inner join few_changes
        on bars.definition_id = few_changes.definition_id and bars.market_id = few_changes.market_id
    where bars.is_event
),

few_and_former_events as (
    select {{ event_columns | join(', ') }}
    from few_events
    union all
    select {{ event_columns | join(', ') }}
    from former_events
),
{% endif %}
-- Every event before a settled bar is settled as well, so the events of its window are all known.
ranked_events as (
    select definition_id, market_id, side, bar_at, rank_from_lowest as rank_among_events
    from {{
        windowed('events', event_columns, keys + ['side'], 'side_pressure', 'bar_coverage_ratio')
    }} as windowed_events
    {%- if compares_few %}
    union all
    -- A few events, each compared with those of its window: to put the events of all windows in order costs far more.
    select
        few.definition_id,
        few.market_id,
        few.side,
        few.bar_at,
        cast(1 + sum(case when others.side_pressure < few.side_pressure then 1 else 0 end) as bigint)
            as rank_among_events
    from few_events as few
    inner join few_and_former_events as others
        on few.definition_id = others.definition_id and few.market_id = others.market_id and few.side = others.side
        and others.bar_at <= few.bar_at and others.bar_at > few.bar_at - {{ hours_as_interval('few.window_hours') }}
    group by few.definition_id, few.market_id, few.side, few.bar_at
    {%- endif %}
)

select
    ranked_bars.definition_id,
    ranked_bars.market_id,
    ranked_bars.venue,
    ranked_bars.venue_set,
    ranked_bars.side,
    ranked_bars.bar_at,
    ranked_bars.value,
    ranked_bars.spike_rank,
    ranked_bars.percentile,
    ranked_bars.robust_z,
    ranked_bars.window_bars,
    ranked_bars.coverage_ratio,
    ranked_bars.is_event,
    -- A bar has a rank when, and only when, it can be ranked.
    case when ranked_bars.spike_rank is not null then ranked_events.rank_among_events end as event_rank,
    ranked_bars.bar_coverage_ratio,
    ranked_bars.is_provisional,
    ranked_bars.is_running,
    ranked_bars.set_changed_at,
    ranked_bars.flow_quality,
    ranked_bars.unranked_reason
from ranked_bars
left join ranked_events
    on ranked_bars.definition_id = ranked_events.definition_id
    and ranked_bars.market_id = ranked_events.market_id
    and ranked_bars.side = ranked_events.side
    and ranked_bars.bar_at = ranked_events.bar_at
