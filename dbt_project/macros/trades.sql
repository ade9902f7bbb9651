{#- Archived trades as staged. Here, and nowhere else, a venue's flag becomes the taker's side: `is_buyer_maker` states that the buyer's order rested
in the book, so that the taker sold. The staging models are these over what has a receipt; a build of bars is these over the files of its window. -#}

{#- One row per aggregate: the trades of one taker order at one price within 100 ms. -#}
{% macro staged_agg_trades(relation) -%}
    (
        select
            trades.venue || ':' || trades.symbol as market_id,
            trades.agg_trade_id as trade_id,
            {{ taker.utc_timestamp('trades.traded_at') }} as traded_at,
            trades."date" as bar_date,
            trades.price,
            trades.quantity,
            trades.last_trade_id - trades.first_trade_id + 1 as trade_count,
            not trades.is_buyer_maker as is_taker_buy
        from {{ relation }} as trades
    )
{%- endmacro %}

{#- One row per single trade. -#}
{% macro staged_trades(relation) -%}
    (
        select
            trades.venue || ':' || trades.symbol as market_id,
            trades.trade_id,
            {{ taker.utc_timestamp('trades.traded_at') }} as traded_at,
            trades."date" as bar_date,
            trades.price,
            trades.quantity,
            cast(1 as bigint) as trade_count,
            not trades.is_buyer_maker as is_taker_buy
        from {{ relation }} as trades
    )
{%- endmacro %}
