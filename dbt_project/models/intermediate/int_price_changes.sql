-- One row per market of which files of the archive changed: the bars of `int_flow_price_levels` that this build
-- replaces, `from_at` until before `to_at`. What is usual is judged by months, and levels are counted from the first
-- bar on.
select
    market_id,
    date_trunc('month', cast(min(bar_date) as timestamp)) as from_at,
    {{ last_instant() }} as to_at
from {{ ref('int_source_days') }}
where is_changed
group by market_id
order by market_id
