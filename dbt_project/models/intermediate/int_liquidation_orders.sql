-- One row per liquidation order. The venue publishes an order's states as it fills, each with what is filled so far, and every row
-- twice: only the last state counts, once.
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
)

select
    orders.market_id,
    orders.liquidated_at,
    orders.trade_date,
    orders.order_side,
    orders.is_long_liquidated,
    orders.average_price,
    orders.accumulated_fill_quantity as filled_quantity,
    cast(
        {{ notional_usd(
            'markets.contract_type', 'markets.contract_size', 'orders.average_price', 'orders.accumulated_fill_quantity'
        ) }} as decimal(38,8)
    ) as liquidated_usd
from last_states as orders
inner join {{ ref('dim_markets') }} as markets on orders.market_id = markets.market_id
where orders.states_from_last = 1
order by orders.market_id, orders.liquidated_at, orders.order_side, orders.price, orders.original_quantity, orders.order_number
