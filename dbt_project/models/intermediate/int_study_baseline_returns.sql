-- One row per definition, market and horizon: what the price did from any bar on, whether there was an event or not.
{{ config(materialized='ephemeral') }}

select
    definition_id,
    market_id,
    horizon_days,
    count(*) as baseline_size,
    cast(sum(case when price_return > 0 then 1 else 0 end) as double) / count(*) as rise_rate,
    cast(sum(case when price_return < 0 then 1 else 0 end) as double) / count(*) as fall_rate,
    percentile_cont(0.5) within group (order by cast(price_return as double)) as median_return,
    cast(sum(price_return) as double) / count(*) as mean_return
from {{ ref('int_study_baseline') }}
group by definition_id, market_id, horizon_days
