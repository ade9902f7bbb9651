{#- The value of the row with the smallest (largest) key in the group. -#}
{% macro value_at_first(value, key) -%}
    {{ return(adapter.dispatch('value_at_first', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_first(value, key) -%}
    arg_min({{ value }}, {{ key }})
{%- endmacro %}

{% macro value_at_last(value, key) -%}
    {{ return(adapter.dispatch('value_at_last', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_last(value, key) -%}
    arg_max({{ value }}, {{ key }})
{%- endmacro %}

{#- The value of the row with the second largest key in the group; NULL when there is none. -#}
{% macro value_at_last_but_one(value, key) -%}
    {{ return(adapter.dispatch('value_at_last_but_one', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_last_but_one(value, key) -%}
    arg_max({{ value }}, {{ key }}, 2)[2]
{%- endmacro %}

{#- The distinct values of the group as one text, in order and parted by commas. -#}
{% macro sorted_list(value) -%}
    {{ return(adapter.dispatch('sorted_list', 'taker')(value)) }}
{%- endmacro %}

{% macro duckdb__sorted_list(value) -%}
    string_agg(distinct {{ value }}, ',' order by {{ value }})
{%- endmacro %}

{#- 1 + the number of rows in the frame that sort before the current row; ties share the lower number. Standard SQL lets a rank
ignore its frame; DuckDB takes an order of its own inside the function and honours the frame. -#}
{% macro framed_rank(order_by, frame) -%}
    {{ return(adapter.dispatch('framed_rank', 'taker')(order_by, frame)) }}
{%- endmacro %}

{% macro duckdb__framed_rank(order_by, frame) -%}
    rank(order by {{ order_by }}) over {{ frame }}
{%- endmacro %}

{#- Quartiles of the frame as a list [lower, median, upper], interpolated linearly. `quartile` reads one of them. -#}
{% macro framed_quartiles(value, frame) -%}
    {{ return(adapter.dispatch('framed_quartiles', 'taker')(value, frame)) }}
{%- endmacro %}

{% macro duckdb__framed_quartiles(value, frame) -%}
    quantile_cont(cast({{ value }} as double), [0.25, 0.5, 0.75]) over {{ frame }}
{%- endmacro %}

{#- The same of a group. -#}
{% macro quartiles(value) -%}
    {{ return(adapter.dispatch('quartiles', 'taker')(value)) }}
{%- endmacro %}

{% macro duckdb__quartiles(value) -%}
    quantile_cont(cast({{ value }} as double), [0.25, 0.5, 0.75])
{%- endmacro %}

{% macro quartile(quartiles, number) -%}
    {{ return(adapter.dispatch('quartile', 'taker')(quartiles, number)) }}
{%- endmacro %}

{% macro duckdb__quartile(quartiles, number) -%}
    {{ quartiles }}[{{ number }}]
{%- endmacro %}

{#- The names of a group as one text, sorted, with commas between. -#}
{% macro joined_names(name) -%}
    {{ return(adapter.dispatch('joined_names', 'taker')(name)) }}
{%- endmacro %}

{% macro duckdb__joined_names(name) -%}
    string_agg({{ name }}, ',' order by {{ name }})
{%- endmacro %}
