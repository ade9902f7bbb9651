-- One row per liquidation order that the collector received on a venue's feed. Two connections may have received the
-- same one.
with received_orders as (
    select
        liquidations.venue,
        liquidations.symbol_name as symbol,
        {{ utc_timestamp('liquidations.liquidated_at') }} as liquidated_at,
        {{ utc_timestamp('liquidations.received_at') }} as received_at,
        liquidations.is_long_liquidated,
        liquidations.price,
        liquidations.quantity,
        liquidations.original_quantity,
        liquidations.limit_price,
        liquidations.order_status,
        liquidations.event_id,
        nullif(liquidations.base_asset, '') as base_asset,
        nullif(liquidations.quote_asset, '') as quote_asset,
        nullif(liquidations.contract_type, '') as contract_type,
        nullif(liquidations.contract_size, 0) as contract_size,
        nullif(liquidations.base_multiplier, 0) as base_multiplier,
        row_number() over (
            partition by liquidations.venue, liquidations.symbol_name, liquidations.event_id
            order by liquidations.received_at
        ) as copy_number
    from {{ raw_relation('liquidations') }} as liquidations
)

select
    venue || ':' || symbol as market_id,
    venue,
    symbol,
    liquidated_at,
    received_at,
    cast(liquidated_at as date) as bar_date,
    is_long_liquidated,
    price,
    quantity,
    original_quantity,
    limit_price,
    order_status,
    event_id,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    base_multiplier
from received_orders
where copy_number = 1
