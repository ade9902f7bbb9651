-- One row per definition, market, side, horizon and way to enter with priced positions: what these returned. Sums are
-- of exact decimals: a mean of doubles would depend on the order of the rows.
{{ config(materialized='ephemeral') }}

select
    definition_id,
    market_id,
    side,
    horizon_days,
    entered,
    count(*) as sample_size,
    max(block_number) as block_count,
    sum(case when flow_quality = 'contradicted' then 1 else 0 end) as contradicted_count,
    cast(sum(case when contrarian_return > 0 then 1 else 0 end) as double) / count(*) as hit_rate,
    percentile_cont(0.5) within group (order by cast(contrarian_return as double)) as median_return,
    cast(sum(contrarian_return) as double) / count(*) as mean_return
from {{ ref('int_study_samples') }}
group by definition_id, market_id, side, horizon_days, entered
