-- One row per liquidation order, compared with its market.
--
-- An order that its own limit or the market's complete bars contradict has no value: a SELL order fills at its limit or
-- above and a BUY order at it or below, at prices of the market, and for no more than the takers of its side traded.
-- What no witness contradicts stays. Venues without a limit in their messages report a bankruptcy price, and may close
-- the position later or against other accounts: there the traded volume is no witness.
with orders as (
    select
        fills.*,
        date_trunc('hour', liquidated_at) as hour_at,
        case when is_long_liquidated then 'SELL' else 'BUY' end as side
    from {{ ref('int_liquidation_fills') }} as fills
),

order_hours as (
    select distinct market_id, hour_at
    from orders
),

bars as (
    select * from {{ witness_bars('order_hours') }} as witnesses
),

-- Of each hour with orders the shortest complete bar that holds it.
witnesses as (
    select
        order_hours.market_id,
        order_hours.hour_at,
        {{ of_shortest_bar(['low_price', 'high_price', 'taker_buy_usd', 'taker_sell_usd']) }}
    from order_hours
    {{ join_witness_bars('bars', 'order_hours', 'order_hours.hour_at') }}
),

compared_orders as (
    select
        orders.*,
        witnesses.low_price,
        witnesses.high_price,
        case
            when orders.limit_price is null then null
            when orders.is_long_liquidated then witnesses.taker_sell_usd
            else witnesses.taker_buy_usd
        end as side_usd,
        case
            when orders.limit_price is null
                then {{ is_price_elsewhere('orders.unit_price', 'witnesses', bankruptcy_price_factor()) }}
            else {{ is_price_elsewhere('orders.unit_price', 'witnesses', traded_price_factor()) }}
        end as is_price_elsewhere,
        orders.limit_price > 0 and case
            when orders.is_long_liquidated then orders.average_price < orders.limit_price
            else orders.average_price > orders.limit_price
        end as is_beyond_limit
    from orders
    left join witnesses
        on orders.market_id = witnesses.market_id and orders.hour_at = witnesses.hour_at
),

-- Each begins with its time, so that the smallest of several is the first.
conflicts as (
    select
        compared_orders.*,
        cast(liquidated_at as string) || ' ' || market_id || ' ' || side
            || ' of ' || {{ figure_text('filled_quantity') }} || ' at ' || {{ figure_text('average_price') }}
            || case
                when filled_quantity = 0 then null
                when is_beyond_limit
                    then case when is_long_liquidated then ' is below' else ' is above' end
                        || ' its limit of ' || {{ figure_text('limit_price') }}
                when is_price_elsewhere
                    then ' (' || {{ figure_text('unit_price') }} || ' a unit), the market traded at '
                        || {{ figure_text('low_price') }} || ' to ' || {{ figure_text('high_price') }}
                when reported_usd > side_usd
                    then ' is worth ' || {{ figure_text('reported_usd') }} || ' USD, takers of its side traded '
                        || {{ figure_text('side_usd') }} || ' USD'
            end as conflict
    from compared_orders
)

select
    market_id,
    liquidated_at,
    bar_date,
    hour_at,
    liquidation_source,
    is_long_liquidated,
    average_price,
    filled_quantity,
    case when conflict is null then reported_usd end as liquidated_usd,
    side_usd,
    conflict
from conflicts
order by market_id, liquidated_at, is_long_liquidated, average_price, filled_quantity
