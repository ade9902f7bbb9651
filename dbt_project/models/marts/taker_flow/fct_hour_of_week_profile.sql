-- One row per market, or aggregate over venues, and hour of the week: what takers and the price did in it, over the
-- trailing two years. Markets that `int_flow_changes` names are made anew.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_flow_changes', 'keys': ['market_id'], 'is_all': true}},
) }}
{%- set changes = changes_in('int_flow_changes') %}
{%- set window_days = 730 %}

with latest_hours as (
    select market_id, max(bar_at) as latest_at
    from {{ ref('fct_net_taker_volume_hourly') }}
    where coverage_ratio = 1
    {%- if replaces_changes() %}
        and market_id in (select market_id from {{ changes }})
    {%- endif %}
    group by market_id
),

-- The fifth of January 1970 was a Monday.
hours_of_week as (
    select
        hours.market_id,
        hours.venue,
        hours.bar_at,
        hours.net_taker_usd,
        hours.volume_usd,
        hours.price_return,
        mod({{ minutes_between("timestamp '1970-01-05 00:00:00'", 'hours.bar_at') }}, 10080) as minute_of_week
    from {{ ref('fct_net_taker_volume_hourly') }} as hours
    inner join latest_hours on hours.market_id = latest_hours.market_id
    where hours.coverage_ratio = 1
        and hours.bar_at > latest_hours.latest_at - interval '{{ window_days }}' day
),

profiles as (
    select
        market_id,
        max(venue) as venue,
        minute_of_week,
        count(*) as hour_count,
        count(price_return) as return_count,
        min(bar_at) as first_at,
        max(bar_at) as last_at,
        sum(net_taker_usd) as net_sum,
        sum(volume_usd) as volume_sum,
        sum(case when net_taker_usd > 0 then 1 else 0 end) as bought_count,
        sum(price_return) as return_sum,
        {{ quartiles('net_taker_usd') }} as net_quartiles,
        {{ quartiles('price_return') }} as return_quartiles
    from hours_of_week
    group by market_id, minute_of_week
)

select
    market_id,
    venue,
    cast(minute_of_week / 60 as integer) as hour_of_week,
    cast(floor(minute_of_week / 1440.0) + 1 as integer) as weekday,
    case cast(floor(minute_of_week / 1440.0) as integer)
        {%- for name in ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] %}
        when {{ loop.index0 }} then '{{ name }}'
        {%- endfor %}
    end as weekday_name,
    cast(mod(minute_of_week, 1440) / 60 as integer) as hour_of_day,
    cast(hour_count as bigint) as hour_count,
    first_at,
    last_at,
    cast({{ exact_quotient('net_sum', 'hour_count') }} as decimal(38,8)) as mean_net_taker_usd,
    cast({{ quartile('net_quartiles', 2) }} as decimal(38,8)) as median_net_taker_usd,
    cast({{ exact_quotient('volume_sum', 'hour_count') }} as decimal(38,8)) as mean_volume_usd,
    {{ exact_as_double(exact_quotient('net_sum', 'volume_sum'), 16) }} as net_taker_ratio,
    {{ exact_as_double(exact_quotient('bought_count', 'hour_count'), 16) }} as bought_ratio,
    {{ exact_as_double(exact_quotient('return_sum * 10000000000', 'return_count * 10000000000'), 16) }} as mean_return,
    cast({{ quartile('return_quartiles', 2) }} as double) as median_return
from profiles
order by market_id, hour_of_week
