-- One row per market, grain and bar that holds a bar of the sources that its day is built from, or would be, which a
-- witness contradicts.
{{ config(materialized='ephemeral') }}

select distinct
    contradictions.market_id,
    grains.grain_hours,
    {{ bar_start('contradictions.bar_at', 'grains.grain_hours') }} as bar_at
from {{ ref('int_flow_contradictions') }} as contradictions
inner join {{ ref('int_flow_days') }} as days
    on contradictions.market_id = days.market_id and contradictions.bar_date = days.bar_date
    and contradictions.bar_hours = coalesce(days.kline_bar_hours, 1)
inner join {{ bar_grains() }} as grains on contradictions.bar_hours <= grains.grain_hours
