{#- The vars, checked once: an unknown value is an error that names the allowed ones. -#}

{#- Where the raw zone is. Without it nothing is built: a build from another folder would empty the warehouse. -#}
{% macro raw_url() -%}
    {%- set url = var('raw_url', '') -%}
    {%- if not url -%}
        {{ exceptions.raise_compiler_error(
            'var raw_url is not set: run dbt with `make dbt ARGS="build …"`, which takes it from the TAKER_* settings, or pass'
            ~ " --vars '{raw_url: /path/to/raw}'"
        ) }}
    {%- endif -%}
    {{ return(url) }}
{%- endmacro %}

{% macro trades_dataset() -%}
    {%- set chosen = var('trades_dataset') -%}
    {%- if chosen not in ['aggTrades', 'trades'] -%}
        {{ exceptions.raise_compiler_error("var trades_dataset is `" ~ chosen ~ "`; allowed are aggTrades and trades") }}
    {%- endif -%}
    {{ return(chosen) }}
{%- endmacro %}

{#- Hours of each interval and grain that the project knows. -#}
{% macro bar_lengths() -%}
    {{ return({'1h': 1, '4h': 4, '1d': 24}) }}
{%- endmacro %}

{% macro kline_intervals() -%}
    {%- set chosen = var('kline_intervals') -%}
    {%- if chosen is string or chosen | length == 0 -%}
        {{ exceptions.raise_compiler_error("var kline_intervals is a list such as ['1h'] or ['4h', '1d']") }}
    {%- endif -%}
    {%- for interval in chosen if interval not in taker.bar_lengths() -%}
        {{ exceptions.raise_compiler_error("var kline_intervals holds `" ~ interval ~ "`; allowed are 1h, 4h and 1d") }}
    {%- endfor -%}
    {{ return(chosen) }}
{%- endmacro %}

{#- `1h`, `4h`, `1d` → 1, 4, 24. -#}
{% macro bar_hours(interval) -%}
    case {{ interval }}
    {%- for name, hours in taker.bar_lengths().items() %} when '{{ name }}' then {{ hours }}{% endfor %} end
{%- endmacro %}

{#- The other way round. -#}
{% macro bar_interval(hours) -%}
    case {{ hours }}
    {%- for name, number in taker.bar_lengths().items() %} when {{ number }} then '{{ name }}'{% endfor %} end
{%- endmacro %}

{#- Names as the texts of an SQL list: `'1h', '4h'`. -#}
{% macro text_list(names) -%}
    {%- for name in names -%}'{{ name }}'{{ ', ' if not loop.last }}{%- endfor -%}
{%- endmacro %}
