{#- The value of the row with the smallest (largest) key in the group. -#}
{% macro value_at_first(value, key) -%}
    {{ return(adapter.dispatch('value_at_first', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_first(value, key) -%}
    arg_min({{ value }}, {{ key }})
{%- endmacro %}

{#- DuckDB's takes no row without a value; Spark's would. -#}
{% macro spark__value_at_first(value, key) -%}
    min_by({{ value }}, {{ key }}) filter (where {{ value }} is not null)
{%- endmacro %}

{% macro value_at_last(value, key) -%}
    {{ return(adapter.dispatch('value_at_last', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_last(value, key) -%}
    arg_max({{ value }}, {{ key }})
{%- endmacro %}

{% macro spark__value_at_last(value, key) -%}
    max_by({{ value }}, {{ key }}) filter (where {{ value }} is not null)
{%- endmacro %}

{#- The value of the row with the second largest key in the group; NULL when there is none. -#}
{% macro value_at_last_but_one(value, key) -%}
    {{ return(adapter.dispatch('value_at_last_but_one', 'taker')(value, key)) }}
{%- endmacro %}

{% macro duckdb__value_at_last_but_one(value, key) -%}
    arg_max({{ value }}, {{ key }}, 2)[2]
{%- endmacro %}

{% macro spark__value_at_last_but_one(value, key) -%}
    get(
        sort_array(
            collect_list(struct({{ key }} as sorted_by, {{ value }} as held_value)) filter (where {{ value }} is not null), false
        ),
        1
    ).held_value
{%- endmacro %}

{#- The distinct values of the group as one text, in order and parted by commas. -#}
{% macro sorted_list(value) -%}
    {{ return(adapter.dispatch('sorted_list', 'taker')(value)) }}
{%- endmacro %}

{% macro duckdb__sorted_list(value) -%}
    string_agg(distinct {{ value }}, ',' order by {{ value }})
{%- endmacro %}

{% macro spark__sorted_list(value) -%}
    nullif(array_join(array_sort(collect_set({{ value }})), ','), '')
{%- endmacro %}

{#- Quartiles of a group as a list [lower, median, upper], interpolated linearly. `quartile` reads one of them. -#}
{% macro quartiles(value) -%}
    {{ return(adapter.dispatch('quartiles', 'taker')(value)) }}
{%- endmacro %}

{% macro duckdb__quartiles(value) -%}
    quantile_cont(cast({{ value }} as double), [0.25, 0.5, 0.75])
{%- endmacro %}

{% macro spark__quartiles(value) -%}
    percentile(cast({{ value }} as double), array(0.25, 0.5, 0.75))
{%- endmacro %}

{% macro quartile(quartiles, number) -%}
    {{ return(adapter.dispatch('quartile', 'taker')(quartiles, number)) }}
{%- endmacro %}

{% macro duckdb__quartile(quartiles, number) -%}
    {{ quartiles }}[{{ number }}]
{%- endmacro %}

{#- Its arrays begin at 0, and an element that is not there is an error. -#}
{% macro spark__quartile(quartiles, number) -%}
    get({{ quartiles }}, {{ number - 1 }})
{%- endmacro %}

{#- These expressions as a list. -#}
{% macro list_of(expressions) -%}
    {{ return(adapter.dispatch('list_of', 'taker')(expressions)) }}
{%- endmacro %}

{% macro duckdb__list_of(expressions) -%}
    [{{ expressions | join(', ') }}]
{%- endmacro %}

{% macro spark__list_of(expressions) -%}
    array({{ expressions | join(', ') }})
{%- endmacro %}

{#- The names of a group as one text, sorted, with commas between. -#}
{% macro joined_names(name) -%}
    {{ return(adapter.dispatch('joined_names', 'taker')(name)) }}
{%- endmacro %}

{% macro duckdb__joined_names(name) -%}
    string_agg({{ name }}, ',' order by {{ name }})
{%- endmacro %}

{% macro spark__joined_names(name) -%}
    nullif(array_join(array_sort(collect_list({{ name }})), ','), '')
{%- endmacro %}
