-- One row per market, or aggregate over venues, and grain: its first complete bar, from which its net is summed.
{{ config(materialized='ephemeral') }}

select market_id, grain_hours, min(bar_at) as first_at
from {{ ref('int_bars') }}
where coverage_ratio = 1
group by market_id, grain_hours
