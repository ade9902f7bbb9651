{#- Bars of several sources, lengths and grains: what is shared by the models that sum them. -#}

{#- A relation of one column, `grain_hours`: the lengths of published bars. -#}
{% macro bar_grains() -%}
    (
        {%- for hours in taker.bar_lengths().values() %}
        select {{ hours }} as grain_hours{{ ' union all' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- The columns of a longer bar, summed from `bars`, the shorter ones in it: amounts, prices, trades and covered minutes. -#}
{% macro summed_bar_columns(bars) -%}
    cast(sum({{ bars }}.taker_buy_usd) as decimal(38,8)) as taker_buy_usd,
    cast(sum({{ bars }}.taker_sell_usd) as decimal(38,8)) as taker_sell_usd,
    cast(sum({{ bars }}.taker_buy_base) as decimal(38,8)) as taker_buy_base,
    cast(sum({{ bars }}.taker_sell_base) as decimal(38,8)) as taker_sell_base,
    {{ taker.value_at_first(bars ~ '.open_price', bars ~ '.bar_at') }} as open_price,
    max({{ bars }}.high_price) as high_price,
    min({{ bars }}.low_price) as low_price,
    {{ taker.value_at_last(bars ~ '.close_price', bars ~ '.bar_at') }} as close_price,
    cast(sum({{ bars }}.trade_count) as bigint) as trade_count,
    cast(sum({{ bars }}.covered_minutes) as bigint) as covered_minutes
{%- endmacro %}

{#- The names of these columns, of a relation. -#}
{% macro bar_columns(bars) -%}
    {%- for column in [
        'taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base', 'open_price', 'high_price', 'low_price', 'close_price',
        'trade_count', 'covered_minutes',
    ] -%}
        {{ bars }}.{{ column }}{{ ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The venue's own bars as staged: the staging model is this over what has a receipt; a build of bars is this over the files of its window. -#}
{% macro staged_klines(relation) -%}
    (
        select
            klines.venue || ':' || klines.symbol as market_id,
            klines."interval" as kline_interval,
            {{ taker.utc_timestamp('klines.opened_at') }} as bar_at,
            cast({{ taker.utc_timestamp('klines.opened_at') }} as date) as bar_date,
            {{ taker.utc_timestamp('klines.closed_at') }} as closes_at,
            klines.open_price,
            klines.high_price,
            klines.low_price,
            klines.close_price,
            klines.volume,
            klines.quote_volume,
            klines.taker_buy_volume,
            klines.taker_buy_quote_volume,
            klines.trade_count
        from {{ relation }} as klines
    )
{%- endmacro %}
