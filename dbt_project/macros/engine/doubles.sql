{#- An exact decimal of `scale` decimals as a double: the same one on every engine, since ranks, ratios and scores are published as doubles. -#}
{% macro exact_as_double(amount, scale) -%}
    {{ return(adapter.dispatch('exact_as_double', 'taker')(amount, scale)) }}
{%- endmacro %}

{% macro default__exact_as_double(amount, scale) -%}
    cast({{ amount }} as double)
{%- endmacro %}

{#- DuckDB converts digits that are together no 53 bits as a whole and a fraction, whose sum is not always the nearest double; Spark's cast is. What
was published by DuckDB stays as it is. -#}
{% macro spark__exact_as_double(amount, scale) -%}
    {%- set exact = 'cast(' ~ amount ~ ' as decimal(38,' ~ scale ~ '))' -%}
    {%- set units = 10 ** scale -%}
    case
        when abs({{ exact }}) <= {{ '%.*f' | format(scale, 9007199254740992 / units) }} then cast({{ exact }} as double)
        else
            cast({{ exact }} - {{ exact }} % 1 as double)
            + cast({{ exact }} % 1 * {{ units }} as double) / {{ units }}D
    end
{%- endmacro %}
