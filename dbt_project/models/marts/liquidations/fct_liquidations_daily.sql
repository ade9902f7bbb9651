-- One row per market and UTC day that the archive was asked for: absent days are rows too, without numbers.
with asked_days as (
    select venue, market_id, trade_date, status = 'stored' as is_covered
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot'
),

order_days as (
    select
        market_id,
        trade_date,
        sum(case when is_long_liquidated then liquidated_usd else 0 end) as long_usd,
        sum(case when is_long_liquidated then 0 else liquidated_usd end) as short_usd,
        count(*) as order_count,
        max(liquidated_usd) as largest_order_usd
    from {{ ref('int_liquidation_orders') }}
    group by market_id, trade_date
),

totals as (
    select
        asked_days.venue,
        asked_days.market_id,
        asked_days.trade_date,
        asked_days.is_covered,
        coalesce(order_days.long_usd, 0) as long_usd,
        coalesce(order_days.short_usd, 0) as short_usd,
        coalesce(order_days.order_count, 0) as order_count,
        order_days.largest_order_usd
    from asked_days
    left join order_days
        on asked_days.market_id = order_days.market_id and asked_days.trade_date = order_days.trade_date
)

select
    venue,
    market_id,
    trade_date,
    cast(case when is_covered then long_usd end as decimal(38,8)) as long_usd,
    cast(case when is_covered then short_usd end as decimal(38,8)) as short_usd,
    cast(case when is_covered then long_usd + short_usd end as decimal(38,8)) as total_usd,
    cast(case when is_covered then order_count end as bigint) as order_count,
    cast(case when is_covered then largest_order_usd end as decimal(38,8)) as largest_order_usd,
    cast(case when is_covered then 1 else 0 end as double) as coverage_ratio,
    true as is_lower_bound
from totals
order by market_id, trade_date
