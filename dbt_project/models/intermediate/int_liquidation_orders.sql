-- One row per liquidation order, from the archive where its day is stored there, else as it was heard live.
-- The archive publishes an order's states as it fills, each with what is filled so far, and every row twice: only the last state
-- counts, once.
with states as (
    select distinct
        market_id,
        liquidated_at,
        trade_date,
        order_side,
        is_long_liquidated,
        order_type,
        original_quantity,
        price,
        average_price,
        order_status,
        accumulated_fill_quantity
    from {{ ref('stg_raw__liquidations') }}
),

compared as (
    select
        states.*,
        lag(accumulated_fill_quantity) over (
            partition by market_id, order_side, order_type, original_quantity, price
            order by liquidated_at, accumulated_fill_quantity
        ) as previous_fill,
        lag(order_status) over (
            partition by market_id, order_side, order_type, original_quantity, price
            order by liquidated_at, accumulated_fill_quantity
        ) as previous_status,
        lag(liquidated_at) over (
            partition by market_id, order_side, order_type, original_quantity, price
            order by liquidated_at, accumulated_fill_quantity
        ) as previous_at
    from states
),

-- A state belongs to the order before it as long as that one was not filled, this one holds more, and not a minute has
-- passed: liquidation orders are immediate or cancelled, so a later one of the same size and limit is another order.
numbered as (
    select
        compared.*,
        sum(
            case
                when previous_status is null or previous_status = 'FILLED' then 1
                when accumulated_fill_quantity <= previous_fill then 1
                when liquidated_at > previous_at + interval '1' minute then 1
                else 0
            end
        ) over (
            partition by market_id, order_side, order_type, original_quantity, price
            order by liquidated_at, accumulated_fill_quantity
            rows between unbounded preceding and current row
        ) as order_number
    from compared
),

last_states as (
    select
        numbered.*,
        row_number() over (
            partition by market_id, order_side, order_type, original_quantity, price, order_number
            order by liquidated_at desc, accumulated_fill_quantity desc
        ) as states_from_last
    from numbered
),

archived_orders as (
    select
        market_id,
        liquidated_at,
        trade_date,
        'archive' as liquidation_source,
        is_long_liquidated,
        average_price,
        accumulated_fill_quantity as filled_quantity
    from last_states
    where states_from_last = 1
),

archived_days as (
    select market_id, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot' and status = 'stored'
),

live_orders as (
    select
        heard.market_id,
        heard.liquidated_at,
        heard.trade_date,
        'live' as liquidation_source,
        heard.is_long_liquidated,
        heard.price as average_price,
        heard.quantity as filled_quantity
    from {{ ref('stg_raw__collected_liquidations') }} as heard
    where not exists (
        select 1
        from archived_days
        where archived_days.market_id = heard.market_id and archived_days.trade_date = heard.trade_date
    )
),

orders as (
    select * from archived_orders
    union all
    select * from live_orders
)

-- What is not quoted in dollars, or of a contract whose size nobody knows, has no value here: it is counted, and never guessed.
select
    orders.market_id,
    orders.liquidated_at,
    orders.trade_date,
    date_trunc('hour', orders.liquidated_at) as hour_at,
    orders.liquidation_source,
    orders.is_long_liquidated,
    orders.average_price,
    cast(orders.filled_quantity as decimal(38,8)) as filled_quantity,
    cast(
        case
            when {{ is_dollar('markets.quote_asset') }} and markets.contract_type in ('linear', 'inverse')
                then {{ notional_usd(
                    'markets.contract_type', 'markets.contract_size', 'orders.average_price', 'orders.filled_quantity'
                ) }}
        end as decimal(38,8)
    ) as liquidated_usd
from orders
inner join {{ ref('dim_markets') }} as markets on orders.market_id = markets.market_id
order by orders.market_id, orders.liquidated_at, orders.is_long_liquidated, orders.average_price, orders.filled_quantity
