{#- A TIMESTAMP WITH TIME ZONE as a naive UTC timestamp, whatever the session's time zone is. -#}
{% macro utc_timestamp(instant) -%}
    {{ return(adapter.dispatch('utc_timestamp', 'taker')(instant)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(instant) -%}
    {#- Half the cost of `at time zone`, which goes through the calendar of the ICU library row by row. -#}
    make_timestamp(epoch_us({{ instant }}))
{%- endmacro %}

{#- The start of the bar of so many hours that holds the instant. Bars of a day start at midnight UTC. -#}
{% macro bar_start(instant, hours) -%}
    {{ return(adapter.dispatch('bar_start', 'taker')(instant, hours)) }}
{%- endmacro %}

{% macro duckdb__bar_start(instant, hours) -%}
    time_bucket(to_hours({{ hours }}), {{ instant }})
{%- endmacro %}

{% macro hours_as_interval(hours) -%}
    {{ return(adapter.dispatch('hours_as_interval', 'taker')(hours)) }}
{%- endmacro %}

{% macro duckdb__hours_as_interval(hours) -%}
    to_hours({{ hours }})
{%- endmacro %}

{#- In a select list: one row for each hour from the first to the last one, both included. None when the last comes before the first. -#}
{% macro each_hour(first, last) -%}
    {{ return(adapter.dispatch('each_hour', 'taker')(first, last)) }}
{%- endmacro %}

{% macro duckdb__each_hour(first, last) -%}
    unnest(generate_series(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1' hour))
{%- endmacro %}

{#- Whole minutes from one timestamp to a later one. -#}
{% macro minutes_between(first, last) -%}
    {{ return(adapter.dispatch('minutes_between', 'taker')(first, last)) }}
{%- endmacro %}

{% macro duckdb__minutes_between(first, last) -%}
    datediff('minute', {{ first }}, {{ last }})
{%- endmacro %}

{#- The minutes from 1970 to a naive UTC timestamp, whole: what a minute is grouped by costs least as a number. -#}
{% macro minute_number(instant) -%}
    {{ return(adapter.dispatch('minute_number', 'taker')(instant)) }}
{%- endmacro %}

{% macro duckdb__minute_number(instant) -%}
    epoch_us({{ instant }}) // 60000000
{%- endmacro %}

{#- The naive UTC timestamp at which that minute begins. -#}
{% macro instant_of_minute(number) -%}
    {{ return(adapter.dispatch('instant_of_minute', 'taker')(number)) }}
{%- endmacro %}

{% macro duckdb__instant_of_minute(number) -%}
    make_timestamp(({{ number }}) * 60000000)
{%- endmacro %}
