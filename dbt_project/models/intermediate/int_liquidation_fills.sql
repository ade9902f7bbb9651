-- One row per liquidation order, with what it filled in the end and what that is worth. Venues publish an order's
-- states as it fills, each with what is filled so far: only the last state counts, once. Where a feed does not report
-- what was ordered at which limit, each message is an order.
{{ config(materialized='ephemeral') }}
{%- set same_order = 'partition by market_id, is_long_liquidated, order_type, original_quantity, limit_price' %}

with states_with_previous as (
    select
        states.*,
        lag(filled_quantity) over states_in_order as previous_fill,
        lag(order_status) over states_in_order as previous_status,
        lag(liquidated_at) over states_in_order as previous_at
    from {{ ref('int_liquidation_states') }} as states
    where is_order_reported
    window states_in_order as ({{ same_order }} order by liquidated_at, filled_quantity)
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
            {{ same_order }}
            order by liquidated_at, filled_quantity
            rows between unbounded preceding and current row
        ) as order_number
    from states_with_previous
),

last_states as (
    select
        numbered_states.*,
        row_number() over (
            {{ same_order }}, order_number
            order by liquidated_at desc, filled_quantity desc
        ) as states_from_last
    from numbered_states
),

fills as (
    select
        market_id,
        liquidated_at,
        bar_date,
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
        bar_date,
        liquidation_source,
        is_long_liquidated,
        average_price,
        filled_quantity,
        cast(null as decimal(38,12)) as limit_price
    from {{ ref('int_liquidation_states') }}
    where not is_order_reported
)

select
    fills.*,
    {{ exact_as_double('fills.average_price', 12) }} / coalesce(markets.base_multiplier, 1) as unit_price,
    -- What is not quoted in dollars, or of a contract whose size is unknown, has no value here: it is counted, and
    -- never guessed. Nor has what would be worth ten billion dollars: no order is, and an absurd message must not take
    -- the decimals' room from all others.
    case
        when {{ is_dollar('markets.quote_asset') }} and markets.contract_type in ('linear', 'inverse')
            and cast(fills.filled_quantity as double) * markets.contract_size < 1e20
            and cast(fills.filled_quantity as double) * markets.contract_size
                * case when markets.contract_type = 'inverse' then 1 else cast(fills.average_price as double) end < 1e10
            then {{ notional_usd(
                'markets.contract_type', 'markets.contract_size', 'fills.average_price', 'fills.filled_quantity', scale=8
            ) }}
    end as reported_usd
from fills
inner join {{ ref('int_markets') }} as markets on fills.market_id = markets.market_id
