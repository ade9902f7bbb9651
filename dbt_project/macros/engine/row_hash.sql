{#- A whole number of at most 20 digits that two rows with equal values share, and others practically never. It may differ between versions of
an engine: then everything counts as changed once. -#}
{% macro row_hash(columns) -%}
    {{ return(adapter.dispatch('row_hash', 'taker')(columns)) }}
{%- endmacro %}

{% macro duckdb__row_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}

{% macro spark__row_hash(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}
