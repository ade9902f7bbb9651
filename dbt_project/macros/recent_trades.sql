{#- Trades of the last days, from a venue's API or its feed: both datasets have the same columns. -#}

{#- One row per market trade: an auto-deleveraging or insurance-fund trade has no aggressor. A trade that was received twice counts once. -#}
{% macro recent_trades(dataset) -%}
with received_trades as (
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
        ) as copy_number
    from {{ taker.raw_relation(dataset) }} as trades
    where trades.execution = 'MARKET'
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
from received_trades
where copy_number = 1
{%- endmacro %}
