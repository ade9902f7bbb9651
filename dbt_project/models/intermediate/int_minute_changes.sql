-- One row per market and day whose minutes this build replaces: its trades were read again, or what its hours are taken
-- from changed. Hours alone do not tell: trades may move from one minute to another within theirs.
with changed_days as (
    select market_id, bar_date
    from {{ ref('int_build_window') }}
    where source = 'trades'
    union
    select market_id, bar_date
    from {{ ref('int_market_bar_days') }}
    where is_changed
)

select market_id, bar_date, true as is_changed
from changed_days
order by market_id, bar_date
