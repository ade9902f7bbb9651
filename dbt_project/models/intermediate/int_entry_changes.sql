-- One row per market of which bars changed: the entries whose return they may change, those of the changed days and of
-- as many days before as the longest horizon has.
select
    market_id,
    cast(min(bar_date) as timestamp) - interval '{{ study_horizons() | max }}' day as from_at,
    cast(max(bar_date) as timestamp) + interval '1' day as to_at
from {{ ref('int_bar_days') }}
where is_changed
group by market_id
order by market_id
