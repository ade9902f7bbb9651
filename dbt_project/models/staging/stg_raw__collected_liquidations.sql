-- One row per liquidation order heard on a venue's feed. Two connections may have heard the same one.
with stored_days as (
    select venue, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidations' and symbol = 'ALL' and status = 'stored'
),

heard as (
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
        ) as times_heard
    from {{ raw_relation('liquidations') }} as liquidations
    where exists (
        select 1
        from stored_days
        where stored_days.venue = liquidations.venue and stored_days.trade_date = liquidations."date"
    )
)

select
    venue || ':' || symbol as market_id,
    venue,
    symbol,
    liquidated_at,
    received_at,
    cast(liquidated_at as date) as trade_date,
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
from heard
where times_heard = 1
