{#- The definitions that the brief has a column for. Columns cannot come from a seed, so a test holds the two together. -#}
{% macro brief_definitions() -%}
    {{ return(['daily_usd', 'daily_base', 'daily_sell_ratio', '4h_usd', '4h_base', '4h_ma2_usd', 'hourly_ma7_usd']) }}
{%- endmacro %}

{#- The side that a day's brief is about: that of its net; of a balanced day the bullish one. -#}
{% macro side_of_day(net_taker_usd) -%}
    coalesce({{ taker.side_of("'usd'", net_taker_usd) }}, 'bullish')
{%- endmacro %}
