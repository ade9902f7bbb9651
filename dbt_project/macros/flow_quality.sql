{#- How far a bar rests on data that was not used as it was published. A number while bars are summed, so that the worst is the maximum. -#}

{% macro flow_qualities() -%}
    {{ return(['as_published', 'replaced_source', 'rows_quarantined', 'trades_implausible', 'contradicted']) }}
{%- endmacro %}

{#- 0, 1, 2 … → the name. -#}
{% macro quality_name(number) -%}
    case {{ number }}
    {%- for name in taker.flow_qualities() %} when {{ loop.index0 }} then '{{ name }}'{% endfor %} end
{%- endmacro %}

{#- The other way round. -#}
{% macro quality_number(name) -%}
    case {{ name }}
    {%- for known in taker.flow_qualities() %} when '{{ known }}' then {{ loop.index0 }}{% endfor %} end
{%- endmacro %}

{#- There are trades of the day that can be the market's flow, and its bars come from klines. Of a row of `int_flow_day_verdicts`. -#}
{% macro is_trades_replaced(days) -%}
    (
        {{ days }}.trades_volume_usd is not null
        and not {{ days }}.is_built_from_trades
        and {{ days }}.verdict <> 'trades_implausible'
    )
{%- endmacro %}

{#- Why; NULL where they are used, and where their bars that are contradicted are named one by one. -#}
{% macro replaced_trades_reason(days) -%}
    case
        when {{ taker.is_trades_replaced(days) }} and {{ days }}.verdict = 'trades_incomplete'
            then 'the trades lack what the klines hold, which are used'
        when {{ taker.is_trades_replaced(days) }} and {{ days }}.contradicted_bars = 0
            then 'trades and klines differ, and the klines are used'
    end
{%- endmacro %}

{#- With at least this many trades a day is distinguishable from an error; with fewer, chance may be the reason. Ingestion's rule for a file by itself is the same. -#}
{% macro fewest_trades_to_judge() -%}
    1000
{%- endmacro %}

{#- True where one price is more than half as much again as the other; NULL where one is. -#}
{% macro is_price_jump(price, other) -%}
    (
        cast({{ price }} as double) > 1.5 * cast({{ other }} as double)
        or cast({{ other }} as double) > 1.5 * cast({{ price }} as double)
    )
{%- endmacro %}
