-- One row per day that is in the daily or in the hourly mart, or that was requested from the archive. Hours that only a
-- venue's trail holds (see int_liquidation_venue_hours) have no numbers, and leave a day of `all` without a venue.
{% from "macros.sql" import distance, sum_venues %}

with requested_days as (
    select
        market_id,
        bar_date,
        max(case when status = 'stored' then 1 else 0 end) as due_coverage_ratio,
        sum(row_count) as raw_rows
    from stg_raw__receipts
    where dataset = 'liquidationSnapshot'
    group by market_id, bar_date
),

hours as (
    select
        market_id,
        cast(bar_at as date) as bar_date,
        sum(long_usd) as long_usd,
        sum(short_usd) as short_usd,
        sum(order_count) as order_count,
        sum(coverage_ratio) / 24 as coverage_ratio
    from fct_liquidations_hourly
    group by market_id, cast(bar_at as date)
),

days as (
    select market_id, bar_date from requested_days
    union
    select market_id, bar_date from hours
    union
    select market_id, bar_date from fct_liquidations_daily
)

select
    days.market_id,
    days.bar_date,
    requested_days.raw_rows,
    liquidations.long_usd,
    liquidations.short_usd,
    liquidations.order_count,
    liquidations.coverage_ratio,
    liquidations.market_id is not null as is_in_mart,
    hours.market_id is not null as has_hours,
    coalesce(hours.long_usd, 0) - coalesce(liquidations.long_usd, 0) as long_difference,
    coalesce(hours.short_usd, 0) - coalesce(liquidations.short_usd, 0) as short_difference,
    coalesce(hours.order_count, 0) - coalesce(liquidations.order_count, 0) as count_difference,
    case
        when requested_days.due_coverage_ratio is null or liquidations.market_id is null then 0
        -- The time around orders that other data contradict is not covered, whatever is stored.
        when liquidations.conflicting_order_count > 0 then 0
        when requested_days.due_coverage_ratio = 1
            then {{ distance("liquidations.coverage_ratio", "requested_days.due_coverage_ratio") }}
        when liquidations.liquidation_source = 'archive' then {{ distance("liquidations.coverage_ratio", "0.0e0") }}
        else 0
    end as coverage_error,
    -- A market known from a feed only has hours with orders, and the coverage of all hours of its venue.
    case
        when liquidations.venue in ({{ sum_venues }}) or hours.market_id is null then 0
        else greatest(hours.coverage_ratio - liquidations.coverage_ratio, 0)
    end as coverage_excess,
    case
        when requested_days.due_coverage_ratio = 1
            then coalesce(requested_days.raw_rows - liquidations.order_count, 0)
        else 0
    end as surplus_rows
from days
left join requested_days
    on days.market_id = requested_days.market_id
    and days.bar_date = requested_days.bar_date
left join hours
    on days.market_id = hours.market_id
    and days.bar_date = hours.bar_date
left join fct_liquidations_daily as liquidations
    on days.market_id = liquidations.market_id
    and days.bar_date = liquidations.bar_date
