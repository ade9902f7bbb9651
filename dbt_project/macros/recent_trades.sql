{#- Trades of the last days, from a venue's api or its feed: both datasets have the same columns. -#}

{#- One row per market trade: an auto-deleveraging or insurance-fund trade has no aggressor. The same trade heard or asked for twice counts once. -#}
{% macro recent_trades(dataset) -%}
with stored_days as (
    select venue, symbol, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = '{{ dataset }}' and status = 'stored'
),

told as (
    select
        trades.venue,
        trades.symbol,
        trades."date" as trade_date,
        trades.trade_id,
        trades.trade_number,
        trades.traded_at,
        trades.price,
        trades.quantity,
        trades.trade_count,
        trades.is_taker_buy,
        row_number() over (
            partition by trades.venue, trades.symbol, trades."date", trades.trade_id
            order by trades.traded_at
        ) as telling
    from {{ taker.raw_relation(dataset) }} as trades
    where trades.execution = 'MARKET'
        and exists (
            select 1
            from stored_days
            where stored_days.venue = trades.venue
                and stored_days.symbol = trades.symbol
                and stored_days.trade_date = trades."date"
        )
)

select
    venue || ':' || symbol as market_id,
    trade_id,
    trade_number,
    {{ taker.utc_timestamp('traded_at') }} as traded_at,
    trade_date,
    price,
    quantity,
    trade_count,
    is_taker_buy
from told
where telling = 1
{%- endmacro %}
