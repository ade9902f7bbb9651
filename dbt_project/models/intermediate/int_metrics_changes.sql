-- One row per market of which bars or metrics changed: the hours of open interest and ratios that this build replaces,
-- `from_at` until before `to_at`. Days within three of each other contradict each other; a day's file ends with the
-- first moment of the next; and an hour is compared with that of the day before.
with changed_days as (
    select market_id, bar_date
    from {{ ref('int_bar_days') }}
    where is_changed
    union
    select market_id, bar_date
    from {{ ref('int_metrics_days') }}
    where is_changed
)

select
    market_id,
    cast(min(bar_date) as timestamp) - interval '4' day as from_at,
    cast(max(bar_date) as timestamp) + interval '6' day as to_at
from changed_days
group by market_id
order by market_id
