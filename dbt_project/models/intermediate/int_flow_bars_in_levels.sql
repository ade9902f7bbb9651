-- One row per bar with trades of the archive's trades or klines, beside the bars before and after it, with the number
-- of the level of prices to which it belongs. A level is what follows upon each other without a step in price.
{{ config(materialized='ephemeral') }}

with bars as (
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        open_price,
        high_price,
        low_price,
        close_price,
        trade_count,
        lag(bar_at) over series as former_at,
        lag(close_price) over series as former_close,
        lag(trade_count) over series as former_count,
        lead(bar_at) over series as next_at,
        lead(open_price) over series as next_open,
        lead(trade_count) over series as next_count
    from {{ archive_bars() }} as archive_bars
    where volume_usd > 0 and low_price > 0
    window series as (partition by market_id, source, bar_hours order by bar_at)
),

bars_with_gaps as (
    select
        bars.*,
        case
            when bar_at = former_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('open_price', 'former_close') }}
        end as gap_before,
        case
            when next_at = bar_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('close_price', 'next_open') }}
        end as gap_after
    from bars
)

select
    market_id,
    source,
    bar_hours,
    bar_at,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    former_close,
    former_count,
    next_count,
    gap_before,
    gap_after,
    sum(case when gap_before > {{ price_step() }} then 1 else 0 end) over (
        partition by market_id, source, bar_hours
        order by bar_at
        rows between unbounded preceding and current row
    ) as price_level
from bars_with_gaps
