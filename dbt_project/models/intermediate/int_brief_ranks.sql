-- One row per market, UTC day and side: the ranks that the brief of the day has, under every definition, and the events
-- that were larger. Days that `int_brief_changes` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_brief_changes', 'keys': ['market_id'], 'instant': 'bar_date'}},
) }}
{%- set changes = changes_in('int_brief_changes') %}
with headline_definition as (
    select max(window_days) as window_days
    from {{ ref('spike_definitions') }}
    where definition_id = 'daily_usd'
),

-- Of a definition with several bars a day, the day's most extreme one.
day_ranks as (
    select
        ranks.market_id,
        cast(ranks.bar_at as date) as bar_date,
        ranks.side,
        {%- for definition in brief_definitions() %}
        min(case when definition_id = '{{ definition }}' then spike_rank end) as "{{ definition }}_rank",
        {%- endfor %}
        min(case when definition_id = 'daily_usd' then event_rank end) as daily_usd_event_rank,
        max(case when definition_id = 'daily_usd' then value end) as daily_usd_value,
        max(case when definition_id = 'daily_usd' then window_bars end) as daily_usd_window_bars,
        max(case when definition_id = 'daily_usd' then coverage_ratio end) as daily_usd_window_coverage,
        max(case when definition_id = 'daily_usd' then unranked_reason end) as daily_usd_unranked_reason
    from {{ ref('int_spike_ranks') }} as ranks
    {%- if replaces_changes() %}
    inner join {{ changes }} as changes
        on ranks.market_id = changes.market_id and cast(ranks.bar_at as date) >= changes.from_at
        and cast(ranks.bar_at as date) < changes.to_at
    {#- As a bound of the stored column: what ended before it is not read. #}
    where ranks.bar_at >= {{ least_of(changes, 'from_at') }}
    {%- endif %}
    group by ranks.market_id, cast(ranks.bar_at as date), ranks.side
),

daily_events as (
    select market_id, side, bar_at, value
    from {{ ref('int_spike_ranks') }}
    where definition_id = 'daily_usd' and is_event
),

-- Only on the side of the day itself, which is the one that its brief is about.
larger_events as (
    select
        ranked.market_id,
        ranked.bar_date,
        ranked.side,
        {{ bar_text("'1d'", "'usd'", 'events.bar_at', 'events.value') }} as event_text,
        row_number() over (
            partition by ranked.market_id, ranked.bar_date, ranked.side
            order by {{ extremeness('events.side', "'usd'", 'events.value') }}, events.bar_at
        ) as place
    from day_ranks as ranked
    cross join headline_definition
    inner join daily_events as events
        on ranked.market_id = events.market_id
        and ranked.side = events.side
        and events.bar_at <= cast(ranked.bar_date as timestamp)
        and events.bar_at > cast(ranked.bar_date as timestamp)
        - {{ hours_as_interval('headline_definition.window_days * 24') }}
        and {{ extremeness('events.side', "'usd'", 'events.value') }}
            < {{ extremeness('events.side', "'usd'", 'ranked.daily_usd_value') }}
    where ranked."daily_usd_rank" is not null and ranked.side = {{ side_of_day('ranked.daily_usd_value') }}
),

larger_events_by_day as (
    select
        market_id,
        bar_date,
        side,
        {{ listed('event_text', 'place') }} as larger_events
    from larger_events
    group by market_id, bar_date, side
)

select
    day_ranks.market_id,
    day_ranks.bar_date,
    day_ranks.side,
    {%- for definition in brief_definitions() %}
    day_ranks."{{ definition }}_rank",
    {%- endfor %}
    day_ranks.daily_usd_event_rank,
    day_ranks.daily_usd_window_bars,
    day_ranks.daily_usd_window_coverage,
    day_ranks.daily_usd_unranked_reason,
    headline_definition.window_days,
    larger_events_by_day.larger_events
from day_ranks
cross join headline_definition
left join larger_events_by_day
    on day_ranks.market_id = larger_events_by_day.market_id
    and day_ranks.bar_date = larger_events_by_day.bar_date
    and day_ranks.side = larger_events_by_day.side
order by day_ranks.market_id, day_ranks.bar_date, day_ranks.side
