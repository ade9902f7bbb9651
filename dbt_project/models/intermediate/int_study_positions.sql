-- One row per definition, market, side, event of the study and horizon: the position against the crowd, entered at the
-- next bar's open.
with horizons as (
    {%- for days in study_horizons() %}
    select {{ days }} as horizon_days{{ ' union all' if not loop.last }}
    {%- endfor %}
),

-- An event is known to be one when the last bar that could be more extreme has ended; a position can be entered at the
-- next open from then on.
events as (
    select
        ranks.definition_id,
        ranks.market_id,
        ranks.side,
        ranks.bar_at as event_at,
        ranks.event_rank,
        ranks.value,
        ranks.flow_quality,
        {{ bar_hours('definitions.grain') }} as grain_hours,
        ranks.bar_at + {{ hours_as_interval(bar_hours('definitions.grain')) }} as entry_at,
        {%- set hours_to_know = 'definitions.decluster_hours + 2 * ' ~ bar_hours('definitions.grain') %}
        {{ bar_start(
            'ranks.bar_at + ' ~ hours_as_interval(hours_to_know) ~ " - interval '1' microsecond",
            bar_hours('definitions.grain'),
        ) }} as known_at
    from {{ ref('int_spike_ranks') }} as ranks
    inner join {{ ref('spike_definitions') }} as definitions on ranks.definition_id = definitions.definition_id
    where ranks.event_rank <= {{ study_top_events() }}
)

select
    events.definition_id,
    events.market_id,
    events.side,
    events.event_at,
    events.event_rank,
    events.value,
    events.grain_hours,
    horizons.horizon_days,
    events.entry_at,
    events.entry_at + {{ hours_as_interval('horizons.horizon_days * 24') }} as exit_at,
    events.known_at,
    events.flow_quality
from events
cross join horizons
