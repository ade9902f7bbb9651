{#- A TIMESTAMP WITH TIME ZONE as a naive UTC timestamp, whatever the session's time zone is. -#}
{% macro utc_timestamp(instant) -%}
    {{ return(adapter.dispatch('utc_timestamp', 'taker')(instant)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(instant) -%}
    {#- Half the cost of `at time zone`, which goes through the calendar of the ICU library row by row. -#}
    make_timestamp(epoch_us({{ instant }}))
{%- endmacro %}

{#- Its timestamps are instants, and naive timestamps of the session's time zone, which is UTC (`orchestration/warehouse/spark/conf.py`). -#}
{% macro spark__utc_timestamp(instant) -%}
    cast({{ instant }} as timestamp)
{%- endmacro %}

{#- The start of the bar of so many hours that holds the instant. Bars of a day start at midnight UTC. -#}
{% macro bar_start(instant, hours) -%}
    {{ return(adapter.dispatch('bar_start', 'taker')(instant, hours)) }}
{%- endmacro %}

{% macro duckdb__bar_start(instant, hours) -%}
    time_bucket(to_hours({{ hours }}), {{ instant }})
{%- endmacro %}

{% macro spark__bar_start(instant, hours) -%}
    timestamp_seconds(unix_seconds({{ instant }}) - pmod(unix_seconds({{ instant }}), 3600 * ({{ hours }})))
{%- endmacro %}

{% macro hours_as_interval(hours) -%}
    {{ return(adapter.dispatch('hours_as_interval', 'taker')(hours)) }}
{%- endmacro %}

{% macro duckdb__hours_as_interval(hours) -%}
    to_hours({{ hours }})
{%- endmacro %}

{% macro spark__hours_as_interval(hours) -%}
    (({{ hours }}) * interval '1' hour)
{%- endmacro %}

{#- In a select list: one row for each hour from the first to the last one, both included, each later by `offset`, an interval. None when the last
comes before the first. -#}
{% macro each_hour(first, last, offset=none) -%}
    {{ return(adapter.dispatch('each_hour', 'taker')(first, last, offset)) }}
{%- endmacro %}

{% macro duckdb__each_hour(first, last, offset) -%}
    unnest(generate_series(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1' hour))
    {{- ' + ' ~ offset if offset }}
{%- endmacro %}

{#- A sequence whose last comes before its first is counted backwards; and nothing may be added to what `explode` gives. -#}
{% macro spark__each_hour(first, last, offset) -%}
    explode(
        transform(
            case
                when cast({{ first }} as timestamp) <= cast({{ last }} as timestamp)
                    then sequence(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1' hour)
                else cast(array() as array<timestamp>)
            end,
            each_hour -> each_hour{{ ' + ' ~ offset if offset }}
        )
    )
{%- endmacro %}

{#- Days from one date to a later one. -#}
{% macro days_between(first, last) -%}
    {{ return(adapter.dispatch('days_between', 'taker')(first, last)) }}
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
    ({{ last }} - {{ first }})
{%- endmacro %}

{#- Where DuckDB counts, it gives an interval. -#}
{% macro spark__days_between(first, last) -%}
    datediff({{ last }}, {{ first }})
{%- endmacro %}

{#- Whole minutes from one timestamp to a later one. -#}
{% macro minutes_between(first, last) -%}
    {{ return(adapter.dispatch('minutes_between', 'taker')(first, last)) }}
{%- endmacro %}

{% macro duckdb__minutes_between(first, last) -%}
    datediff('minute', {{ first }}, {{ last }})
{%- endmacro %}

{#- Boundaries of minutes that lie between, as DuckDB counts them. -#}
{% macro spark__minutes_between(first, last) -%}
    (unix_micros(date_trunc('minute', {{ last }})) div 60000000 - unix_micros(date_trunc('minute', {{ first }})) div 60000000)
{%- endmacro %}

{#- The minutes from 1970 to a naive UTC timestamp, whole: what a minute is grouped by costs least as a number. -#}
{% macro minute_number(instant) -%}
    {{ return(adapter.dispatch('minute_number', 'taker')(instant)) }}
{%- endmacro %}

{% macro duckdb__minute_number(instant) -%}
    epoch_us({{ instant }}) // 60000000
{%- endmacro %}

{% macro spark__minute_number(instant) -%}
    unix_micros({{ instant }}) div 60000000
{%- endmacro %}

{#- The naive UTC timestamp at which that minute begins. -#}
{% macro instant_of_minute(number) -%}
    {{ return(adapter.dispatch('instant_of_minute', 'taker')(number)) }}
{%- endmacro %}

{% macro duckdb__instant_of_minute(number) -%}
    make_timestamp(({{ number }}) * 60000000)
{%- endmacro %}

{% macro spark__instant_of_minute(number) -%}
    timestamp_seconds(({{ number }}) * 60)
{%- endmacro %}
