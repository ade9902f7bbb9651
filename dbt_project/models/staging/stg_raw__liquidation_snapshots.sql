-- One row per state of a liquidation order in the venue's archive (`liquidationSnapshot`): an order may have several.
select
    liquidations.venue || ':' || liquidations.symbol as market_id,
    {{ utc_timestamp('liquidations.liquidated_at') }} as liquidated_at,
    liquidations."date" as bar_date,
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
