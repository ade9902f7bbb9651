-- One row per market, grain and bar that holds a fault of the archive's files: an hour of which rows were quarantined
-- or the klines are doubtful; of a row whose hour is unknown the day.
{{ config(materialized='ephemeral') }}

with faulty_hours as (
    select market_id, bar_date, hour_at
    from {{ ref('int_flow_defects') }}
    where kind = 'quarantined_rows'
    union
    select market_id, bar_date, bar_at as hour_at
    from {{ ref('int_flow_klines') }}
    where state = 'doubtful' and is_contradicted is not true
)

select
    faulty_hours.market_id,
    grains.grain_hours,
    {{ bar_start('faulty_hours.hour_at', 'grains.grain_hours') }} as bar_at
from faulty_hours
cross join {{ bar_grains() }} as grains
where faulty_hours.hour_at is not null
union
select market_id, 24 as grain_hours, cast(bar_date as timestamp) as bar_at
from faulty_hours
where hour_at is null
