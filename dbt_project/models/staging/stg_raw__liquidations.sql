-- One row per published state of a liquidation order: an order may have several.
with stored_days as (
    select venue, symbol, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot' and status = 'stored'
)

select
    liquidations.venue || ':' || liquidations.symbol as market_id,
    {{ utc_timestamp('liquidations.liquidated_at') }} as liquidated_at,
    liquidations."date" as trade_date,
    liquidations.side as order_side,
    liquidations.side = 'SELL' as is_long_liquidated,
    liquidations.order_type,
    liquidations.time_in_force,
    liquidations.original_quantity,
    liquidations.price,
    liquidations.average_price,
    liquidations.order_status,
    liquidations.last_fill_quantity,
    liquidations.accumulated_fill_quantity
from {{ raw_relation('liquidationSnapshot') }} as liquidations
where exists (
    select 1
    from stored_days
    where stored_days.venue = liquidations.venue
        and stored_days.symbol = liquidations.symbol
        and stored_days.trade_date = liquidations."date"
)
