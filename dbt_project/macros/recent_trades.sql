{#- Trades of the last days, from a venue's API or its feed: both datasets have the same columns. -#}

{#- One row per market trade, in the venue's terms: an auto-deleveraging or insurance-fund trade has no aggressor. A trade that was received twice
counts once. -#}
{% macro recent_trades(dataset) -%}
    (
        select *
        from (
            select
                trades.*,
                row_number() over (
                    partition by trades.venue, trades.symbol, trades."date", trades.trade_id
                    order by trades.traded_at
                ) as copy_number
            from {{ taker.raw_relation(dataset) }} as trades
            where trades.execution = 'MARKET'
        ) as received_trades
        where copy_number = 1
    )
{%- endmacro %}
