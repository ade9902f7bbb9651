{# SQL fragments that several audits share. #}

{# An exact identity: zero when it holds, and 1 when an operand is unknown. #}
{% macro residual(expression) -%}
    coalesce({{ expression }}, 1)
{%- endmacro %}

{# The distance of two doubles, at most 1: NaN and known on one side only are 1, unknown on both sides is 0. #}
{% macro distance(stored, recomputed) -%}
    case
        when {{ stored }} is null and {{ recomputed }} is null then 0.0e0
        else least(coalesce(abs({{ stored }} - {{ recomputed }}), 1.0e0), 1.0e0)
    end
{%- endmacro %}

{# Names that stand for several venues at once. #}
{% set sum_venues = "'all', 'simulated_all'" %}

{# Whether a venue is simulated, or the sum over those that are. `simulated_venues`: the names, from the venues' own descriptions. #}
{% macro is_simulated(venue, simulated_venues) -%}
    {{ venue }} in ('simulated_all'{% for name in simulated_venues %}, '{{ name }}'{% endfor %})
{%- endmacro %}

{# Flow that a file of the archive has yet to confirm. #}
{% set provisional_sources = "'rest_klines', 'rest_trades', 'live_trades'" %}

{# The share of the klines' volume within which two sources agree; stated in the descriptions of the marts. #}
{% set tolerance = "0.0001" %}

{# Windows and bars covered by less have no rank, no percentile and no verdict. #}
{% set min_coverage = "0.95" %}

{% set horizons = "(values (1), (3), (7), (14), (30)) as horizons (horizon_days)" %}
