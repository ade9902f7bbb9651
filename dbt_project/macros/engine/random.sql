{#- 32 bits that look random and are always the same for the same text, on every engine: the first eight digits of its MD5, as a BIGINT. -#}
{% macro hashed_bits(text) -%}
    {{ return(adapter.dispatch('hashed_bits', 'taker')(text)) }}
{%- endmacro %}

{% macro duckdb__hashed_bits(text) -%}
    cast('0x' || substring(md5({{ text }}), 1, 8) as bigint)
{%- endmacro %}

{% macro spark__hashed_bits(text) -%}
    cast(conv(substring(md5({{ text }}), 1, 8), 16, 10) as bigint)
{%- endmacro %}

{#- Those bits as a whole number from 0 to n − 1. -#}
{% macro bits_below(bits, n) -%}
    {{ return(adapter.dispatch('bits_below', 'taker')(bits, n)) }}
{%- endmacro %}

{% macro duckdb__bits_below(bits, n) -%}
    ({{ bits }} * {{ n }} // 4294967296)
{%- endmacro %}

{% macro spark__bits_below(bits, n) -%}
    ({{ bits }} * {{ n }} div 4294967296)
{%- endmacro %}

{#- A relation of one column, `number`, from 1 to n. -#}
{% macro numbers_to(n) -%}
    {{ return(adapter.dispatch('numbers_to', 'taker')(n)) }}
{%- endmacro %}

{% macro duckdb__numbers_to(n) -%}
    (select cast(generate_series as bigint) as number from generate_series(1, {{ n }}))
{%- endmacro %}

{% macro spark__numbers_to(n) -%}
    (select explode(sequence(cast(1 as bigint), cast({{ n }} as bigint))) as number)
{%- endmacro %}
