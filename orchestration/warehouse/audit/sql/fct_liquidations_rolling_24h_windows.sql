-- One row per rolling day beside the sum of the 24 hours that it is made of: each hour is in 24 windows.
{% from "macros.sql" import sum_venues %}

with sums as (
    select
        hours.market_id,
        hours.bar_at + to_hours(distances.hours) as as_of_at,
        sum(hours.long_usd) as long_usd,
        sum(hours.short_usd) as short_usd,
        sum(hours.order_count) as order_count,
        max(hours.largest_order_usd) as largest_order_usd,
        sum(hours.coverage_ratio) / 24 as coverage_ratio
    from fct_liquidations_hourly as hours
    cross join range(1, 25) as distances (hours)
    group by hours.market_id, hours.bar_at + to_hours(distances.hours)
)

select
    rolling.market_id,
    rolling.as_of_at,
    rolling.long_usd,
    rolling.short_usd,
    rolling.order_count,
    rolling.largest_order_usd,
    rolling.coverage_ratio,
    sums.market_id is not null as has_hours,
    coalesce(sums.long_usd, 0) - coalesce(rolling.long_usd, 0) as long_difference,
    coalesce(sums.short_usd, 0) - coalesce(rolling.short_usd, 0) as short_difference,
    coalesce(sums.order_count, 0) - coalesce(rolling.order_count, 0) as count_difference,
    sums.market_id is null or sums.largest_order_usd is not distinct from rolling.largest_order_usd as is_largest_right,
    case
        when rolling.venue in ({{ sum_venues }}) or sums.market_id is null then 0
        else greatest(sums.coverage_ratio - rolling.coverage_ratio, 0)
    end as coverage_excess
from fct_liquidations_rolling_24h as rolling
left join sums
    on rolling.market_id = sums.market_id
    and rolling.as_of_at = sums.as_of_at
