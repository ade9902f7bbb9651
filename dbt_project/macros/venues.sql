{#- Which venues are simulated, and what the sums over venues are called. -#}

{#- The venues of which nothing ever happened. It has no default: a simulated number without its label is worse than none. -#}
{% macro simulated_venues() -%}
    {%- set stated = taker.setting('simulated_venues') -%}
    {%- if not stated -%}
        {{ exceptions.raise_compiler_error(
            'the profile does not state which venues are simulated: use the one that `make manifest` and every run write (docs/dbt.md), or pass'
            ~ " --vars '{simulated_venues: [simulated]}'"
        ) }}
    {%- endif -%}
    {{ return(stated.split(',') if stated is string else stated) }}
{%- endmacro %}

{#- Whether a venue is simulated, or is the sum over those that are. -#}
{% macro is_simulated(venue) -%}
    {{ venue }} in ({{ taker.text_list(taker.simulated_venues() + [taker.sum_of_simulated()]) }})
{%- endmacro %}

{#- What stands in place of a venue for the sum over real ones, and over simulated ones, as in `ingestion.domain.markets` (a test compares them). -#}
{% macro sum_of_venues() -%}
    {{ return('all') }}
{%- endmacro %}

{% macro sum_of_simulated() -%}
    {{ return('simulated_all') }}
{%- endmacro %}

{#- The sum over venues is of real ones, or of simulated ones, never of both. -#}
{% macro sum_of(is_simulated) -%}
    case when {{ is_simulated }} then '{{ taker.sum_of_simulated() }}' else '{{ taker.sum_of_venues() }}' end
{%- endmacro %}
