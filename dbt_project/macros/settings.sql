{#- The settings, checked once: an unknown value is an error that names the allowed ones. -#}

{#- A setting: the var of a run, or else what the generated profile states beside the warehouse's path, which is all that a plain `dbt build`
has. So the raw zone, the warehouse and what is built of it always come from the same place. -#}
{% macro setting(name, default='') -%}
    {{ return(var(name, '') or (target.get('settings') or {}).get('VARIABLE taker_' ~ name) or default) }}
{%- endmacro %}

{#- True where dbt was started as a plain `dbt build`: nothing then states which version of the project the tables are of. -#}
{% macro is_by_hand() -%}
    {{ return(not var('raw_url', '')) }}
{%- endmacro %}

{#- The version of the macros that value what is read. By hand, that of this invocation alone: everything is read anew. -#}
{% macro macros_version() -%}
    {{ return(invocation_id if taker.is_by_hand() else var('macros_version', '')) }}
{%- endmacro %}

{#- Where the raw zone is. It has no default, and nothing is built without it: a build from another folder would empty the warehouse. -#}
{% macro raw_url() -%}
    {%- set url = taker.setting('raw_url') -%}
    {%- if not url -%}
        {{ exceptions.raise_compiler_error(
            'the profile states no raw zone: use the one that `make manifest` and every run write (docs/dbt.md), or pass'
            ~ " --vars '{raw_url: /path/to/raw}'"
        ) }}
    {%- endif -%}
    {{ return(url) }}
{%- endmacro %}

{% macro trades_dataset() -%}
    {%- set chosen = taker.setting('trades_dataset', 'aggTrades') -%}
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
    {%- set chosen = taker.setting('kline_intervals', ['1h']) -%}
    {%- if chosen is string and taker.is_by_hand() -%}{#- A profile holds texts: `1h,4h`. -#}
        {%- set chosen = chosen.split(',') -%}
    {%- endif -%}
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
