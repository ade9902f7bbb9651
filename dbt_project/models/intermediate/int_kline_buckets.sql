-- One row per market, grain (1, 4, 24 hours) and bar that the archive's klines give. Of several intervals, each day and
-- grain takes the one that covers most of the day, of equals the finest.
-- Days that `int_kline_days` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_kline_days', 'keys': ['market_id', 'bar_date']}},
) }}

with usable_bars as (
    select *
    from {{ ref('int_flow_klines') }} as klines
    where state <> 'doubtful' and {{ is_of_changed_day('klines', 'int_kline_days') }}
),

buckets_by_interval as (
    select
        bars.market_id,
        case when min(bars.source) = max(bars.source) then min(bars.source) else 'mixed' end as source,
        bars.bar_hours as source_bar_hours,
        grains.grain_hours,
        {{ bar_start('bars.bar_at', 'grains.grain_hours') }} as bar_at,
        bars.bar_date,
        {{ summed_bar_columns('bars') }}
    from usable_bars as bars
    inner join {{ bar_grains() }} as grains on bars.bar_hours <= grains.grain_hours
    group by
        bars.market_id, bars.bar_hours, grains.grain_hours, {{ bar_start('bars.bar_at', 'grains.grain_hours') }},
        bars.bar_date
),

ranked_intervals as (
    select
        market_id,
        bar_date,
        grain_hours,
        source_bar_hours,
        row_number() over (
            partition by market_id, bar_date, grain_hours
            order by sum(covered_minutes) desc, source_bar_hours asc
        ) as choice
    from buckets_by_interval
    group by market_id, bar_date, grain_hours, source_bar_hours
)

select
    buckets.market_id,
    buckets.source,
    buckets.source_bar_hours,
    buckets.grain_hours,
    buckets.bar_at,
    buckets.bar_date,
    {{ bar_columns('buckets') }},
    {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }} as coverage_ratio
from buckets_by_interval as buckets
inner join ranked_intervals as intervals
    on buckets.market_id = intervals.market_id
    and buckets.bar_date = intervals.bar_date
    and buckets.grain_hours = intervals.grain_hours
    and buckets.source_bar_hours = intervals.source_bar_hours
where intervals.choice = 1
order by buckets.market_id, buckets.grain_hours, buckets.bar_at
