-- One row per market, or aggregate over venues, of which bars changed: the hours that this build replaces, from the
-- first changed day on. Each hour states the net so far, so that a corrected bar changes every hour after it.
select
    market_id,
    cast(min(bar_date) as timestamp) as from_at,
    {{ last_instant() }} as to_at
from {{ ref('int_bar_days') }}
where is_changed
group by market_id
order by market_id
