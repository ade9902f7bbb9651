-- One row per liquidation order, from the archive where its day is stored there, else as it was received live. Both
-- publish an order's states as it fills, each with what is filled so far (the archive every row twice): only the last
-- state counts, once. Where a feed does not report what was ordered at which limit, each message is an order.
-- Long, since the states of both sources are put together by one rule, and each order is then compared with its market.
--
-- An order that its own limit or the market's complete bars contradict has no value: a SELL order fills at its limit or
-- above and a BUY order at it or below, at prices of the market, and for no more than the takers of its side traded.
-- What no witness contradicts stays. Venues without a limit in their messages report a bankruptcy price, and may close
-- the position later or against other accounts: there the traded volume is no witness.
with archived_states as (
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
    from {{ ref('stg_raw__liquidation_snapshots') }}
),

archived_days as (
    select market_id, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot' and status = 'stored'
),

received_events as (
    select *
    from {{ ref('stg_raw__liquidation_events') }} as messages
    where not exists (
        select 1
        from archived_days
        where archived_days.market_id = messages.market_id and archived_days.trade_date = messages.trade_date
    )
),

states as (
    select
        market_id,
        liquidated_at,
        trade_date,
        'archive' as liquidation_source,
        is_long_liquidated,
        order_type,
        cast(original_quantity as decimal(38,8)) as original_quantity,
        cast(price as decimal(38,12)) as limit_price,
        cast(average_price as decimal(38,12)) as average_price,
        order_status,
        cast(accumulated_fill_quantity as decimal(38,8)) as filled_quantity
    from archived_states
    union all
    select
        market_id,
        liquidated_at,
        trade_date,
        'live' as liquidation_source,
        is_long_liquidated,
        'LIMIT' as order_type,
        cast(original_quantity as decimal(38,8)) as original_quantity,
        cast(limit_price as decimal(38,12)) as limit_price,
        cast(price as decimal(38,12)) as average_price,
        order_status,
        cast(quantity as decimal(38,8)) as filled_quantity
    from received_events
    where original_quantity is not null and limit_price is not null
),

states_with_previous as (
    select
        states.*,
        lag(filled_quantity) over (
            partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price
            order by liquidated_at, filled_quantity
        ) as previous_fill,
        lag(order_status) over (
            partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price
            order by liquidated_at, filled_quantity
        ) as previous_status,
        lag(liquidated_at) over (
            partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price
            order by liquidated_at, filled_quantity
        ) as previous_at
    from states
),

-- A state belongs to the order before it as long as that one was not filled, this one holds more, and not a minute has
-- passed: liquidation orders are immediate or cancelled, so a later one of the same size and limit is another order.
numbered_states as (
    select
        states_with_previous.*,
        sum(
            case
                when previous_status is null or previous_status = 'FILLED' then 1
                when filled_quantity <= previous_fill then 1
                when liquidated_at > previous_at + interval '1' minute then 1
                else 0
            end
        ) over (
            partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price
            order by liquidated_at, filled_quantity
            rows between unbounded preceding and current row
        ) as order_number
    from states_with_previous
),

last_states as (
    select
        numbered_states.*,
        row_number() over (
            partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price, order_number
            order by liquidated_at desc, filled_quantity desc
        ) as states_from_last
    from numbered_states
),

orders as (
    select
        market_id,
        liquidated_at,
        trade_date,
        liquidation_source,
        is_long_liquidated,
        average_price,
        filled_quantity,
        limit_price
    from last_states
    where states_from_last = 1
    union all
    select
        market_id,
        liquidated_at,
        trade_date,
        'live' as liquidation_source,
        is_long_liquidated,
        cast(price as decimal(38,12)) as average_price,
        cast(quantity as decimal(38,8)) as filled_quantity,
        cast(null as decimal(38,12)) as limit_price
    from received_events
    where original_quantity is null or limit_price is null
),

order_hours as (
    select distinct market_id, date_trunc('hour', liquidated_at) as hour_at
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

-- What is not quoted in dollars, or of a contract whose size is unknown, has no value here: it is counted, and never
-- guessed. Nor has what would be worth ten billion dollars: no order is, and an absurd message must not take the
-- decimals' room from all others.
valued_orders as (
    select
        orders.*,
        date_trunc('hour', orders.liquidated_at) as hour_at,
        case when orders.is_long_liquidated then 'SELL' else 'BUY' end as side,
        cast(orders.average_price as double) / coalesce(markets.base_multiplier, 1) as unit_price,
        case
            when {{ is_dollar('markets.quote_asset') }} and markets.contract_type in ('linear', 'inverse')
                and cast(orders.filled_quantity as double) * markets.contract_size < 1e20
                and cast(orders.filled_quantity as double) * markets.contract_size
                    * case
                        when markets.contract_type = 'inverse' then 1
                        else cast(orders.average_price as double)
                    end < 1e10
                then {{ notional_usd(
                    'markets.contract_type', 'markets.contract_size', 'orders.average_price', 'orders.filled_quantity',
                    scale=8
                ) }}
        end as reported_usd
    from orders
    inner join {{ ref('int_markets') }} as markets on orders.market_id = markets.market_id
),

compared_orders as (
    select
        valued_orders.*,
        witnesses.low_price,
        witnesses.high_price,
        case
            when valued_orders.limit_price is null then null
            when valued_orders.is_long_liquidated then witnesses.taker_sell_usd
            else witnesses.taker_buy_usd
        end as side_usd,
        case
            when valued_orders.limit_price is null
                then {{ is_price_elsewhere('valued_orders.unit_price', 'witnesses', bankruptcy_price_factor()) }}
            else {{ is_price_elsewhere('valued_orders.unit_price', 'witnesses', traded_price_factor()) }}
        end as is_price_elsewhere,
        valued_orders.limit_price > 0 and case
            when valued_orders.is_long_liquidated then valued_orders.average_price < valued_orders.limit_price
            else valued_orders.average_price > valued_orders.limit_price
        end as is_beyond_limit
    from valued_orders
    left join witnesses
        on valued_orders.market_id = witnesses.market_id and valued_orders.hour_at = witnesses.hour_at
),

-- Each begins with its time, so that the smallest of several is the first.
conflicts as (
    select
        compared_orders.*,
        cast(liquidated_at as varchar) || ' ' || market_id || ' ' || side
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
    trade_date,
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
