-- One row per definition, market, side, event of the study and horizon: what open interest, fundings and liquidations
-- did from so many hours before the event's bar until as many after it.
{%- set columns = [
    'definition_id', 'market_id', 'side', 'event_at', 'event_rank', 'value', 'horizon_hours', 'from_at', 'to_at',
] %}

with horizons as (
    {%- for hours in context_horizons() %}
    select {{ hours }} as horizon_hours{{ ' union all' if not loop.last }}
    {%- endfor %}
),

-- A position is entered when the event's bar has ended.
windows as (
    select distinct
        positions.definition_id,
        positions.market_id,
        positions.side,
        positions.event_at,
        positions.event_rank,
        positions.value,
        horizons.horizon_hours,
        positions.event_at - {{ hours_as_interval('horizons.horizon_hours') }} as from_at,
        positions.entry_at + {{ hours_as_interval('horizons.horizon_hours') }} as to_at
    from {{ ref('int_study_positions') }} as positions
    cross join horizons
),

window_hours as (
    select windows.*, {{ each_hour('from_at', "to_at - interval '1' hour") }} as hour_at
    from windows
),

rates as (
    select market_id, date_trunc('hour', funded_at) as hour_at, funding_interval_hours, funding_rate
    from {{ ref('fct_funding_rates') }}
    where funding_rate is not null
),

charged_hours as (
    select market_id, hour_at, sum(funding_rate) as funding_rate
    from rates
    group by market_id, hour_at
),

-- The hours that a rate is for are those before it is charged.
rated_hours as (
    select distinct
        market_id,
        {{ each_hour(
            'hour_at - ' ~ hours_as_interval('funding_interval_hours'), "hour_at - interval '1' hour"
        ) }} as hour_at
    from rates
),

sums as (
    select
        {%- for column in columns %}
        hours.{{ column }},
        {%- endfor %}
        count(*) as hour_count,
        coalesce(sum(charged.funding_rate), 0) as funding_rate,
        count(rated.market_id) as rated_hours,
        sum(liquidations.long_usd) as long_usd,
        sum(liquidations.short_usd) as short_usd,
        coalesce(sum(cast(liquidations.coverage_ratio as decimal(9,8))), 0) as liquidation_coverage,
        sum(case when liquidations.is_lower_bound is false then 1 else 0 end) as exact_hours
    from window_hours as hours
    left join charged_hours as charged on hours.market_id = charged.market_id and hours.hour_at = charged.hour_at
    left join rated_hours as rated on hours.market_id = rated.market_id and hours.hour_at = rated.hour_at
    left join {{ ref('fct_liquidations_hourly') }} as liquidations
        on hours.market_id = liquidations.market_id and hours.hour_at = liquidations.bar_at
    group by
        {%- for column in columns %}
        hours.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
)

select
    sums.definition_id,
    sums.market_id,
    sums.side,
    sums.event_at,
    sums.event_rank,
    sums.value,
    cast(sums.horizon_hours as integer) as horizon_hours,
    sums.from_at,
    sums.to_at,
    {{ context_columns() }}
from sums
left join {{ ref('fct_open_interest_hourly') }} as before
    on sums.market_id = before.market_id and sums.from_at - interval '1' hour = before.bar_at
left join {{ ref('fct_open_interest_hourly') }} as after
    on sums.market_id = after.market_id and sums.to_at - interval '1' hour = after.bar_at
order by sums.definition_id, sums.market_id, sums.side, sums.event_at, sums.horizon_hours
