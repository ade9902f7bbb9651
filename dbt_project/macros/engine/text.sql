{#- Texts that engines write differently. -#}

{#- Words as a literal. Where they hold an apostrophe, a model writes them so: Spark takes two quotes for the end of one literal and the beginning of
the next, and the words lose it. -#}
{% macro quoted(words) -%}
    {{ return(adapter.dispatch('quoted', 'taker')(words)) }}
{%- endmacro %}

{% macro default__quoted(words) -%}
    '{{ words | replace("'", "''") }}'
{%- endmacro %}

{% macro spark__quoted(words) -%}
    '{{ words | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{#- `a, b, c` → `a, b and c`, `joint` with its blanks. -#}
{% macro last_comma_replaced(names, joint) -%}
    {{ return(adapter.dispatch('last_comma_replaced', 'taker')(names, joint)) }}
{%- endmacro %}

{% macro duckdb__last_comma_replaced(names, joint) -%}
    regexp_replace({{ names }}, ', ([^,]*)$', '{{ joint }}\1')
{%- endmacro %}

{% macro spark__last_comma_replaced(names, joint) -%}
    regexp_replace({{ names }}, ', ([^,]*)$', '{{ joint }}$1')
{%- endmacro %}

{#- A double in a sentence: 30631.6. -#}
{% macro double_text(number) -%}
    {{ return(adapter.dispatch('double_text', 'taker')(number)) }}
{%- endmacro %}

{% macro default__double_text(number) -%}
    cast(cast({{ number }} as double) as string)
{%- endmacro %}

{#- From 10^7 on, and below 0.001, Spark writes an exponent, DuckDB from 10^15 on and below 0.0001. -#}
{% macro spark__double_text(number) -%}
    case
        when abs(cast({{ number }} as double)) >= 1e7 and abs(cast({{ number }} as double)) < 1e15
            or abs(cast({{ number }} as double)) < 0.001 and abs(cast({{ number }} as double)) >= 0.0001
            then regexp_replace(
                regexp_replace(cast(cast(cast(cast({{ number }} as double) as string) as decimal(38,20)) as string), '0+$', ''),
                '[.]$', '.0'
            )
        else cast(cast({{ number }} as double) as string)
    end
{%- endmacro %}
