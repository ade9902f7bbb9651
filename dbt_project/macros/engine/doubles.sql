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
            {{ taker.spark__whole_as_double(exact ~ ' - ' ~ exact ~ ' % 1') }}
            + {{ taker.spark__whole_as_double(exact ~ ' % 1 * ' ~ units) }} / {{ units }}D
    end
{%- endmacro %}

{#- A whole number of at most 64 bits. Of a negative one DuckDB converts what is left without 1, and takes 1 away again: each of the two may round. -#}
{% macro spark__whole_as_double(whole) -%}
    case when {{ whole }} < 0 then -cast(-({{ whole }}) - 1 as double) - 1D else cast({{ whole }} as double) end
{%- endmacro %}
