-- One row per market, grain (1, 4, 24 hours) and bar of the hours that the archive does not have. A bar is running
-- until its end is known.
with buckets as (
    select
        hours.market_id,
        case
            when min(case when hours.has_bar then hours.source end) = max(case when hours.has_bar then hours.source end)
                then max(case when hours.has_bar then hours.source end)
            else 'mixed'
        end as source,
        grains.grain_hours,
        {{ bar_start('hours.bar_at', 'grains.grain_hours') }} as bar_at,
        hours.bar_date,
        {{ summed_bar_columns('hours') }}
    from {{ ref('int_recent_hours') }} as hours
    cross join {{ bar_grains() }} as grains
    group by hours.market_id, grains.grain_hours, {{ bar_start('hours.bar_at', 'grains.grain_hours') }}, hours.bar_date
    having max(case when hours.has_bar then 1 else 0 end) = 1
),

known_ends as (
    select market_id, cast(bar_date as timestamp) + interval '1' day as known_until_at
    from {{ ref('int_flow_days') }}
    union all
    select market_id, case when covered_minutes = 60 then bar_at + interval '1' hour else bar_at end as known_until_at
    from {{ ref('int_recent_hours') }}
),

markets_known_until as (
    select market_id, max(known_until_at) as known_until_at
    from known_ends
    group by market_id
)

select
    buckets.market_id,
    buckets.source,
    1 as source_bar_hours,
    buckets.grain_hours,
    buckets.bar_at,
    buckets.bar_date,
    {{ bar_columns('buckets') }},
    {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }} as coverage_ratio,
    buckets.bar_at + {{ hours_as_interval('buckets.grain_hours') }} > markets.known_until_at as is_running
from buckets
inner join markets_known_until as markets on buckets.market_id = markets.market_id
order by buckets.market_id, buckets.grain_hours, buckets.bar_at
