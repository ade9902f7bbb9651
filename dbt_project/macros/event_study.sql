{#- What the event study is, declared once. -#}

{#- Days from entry to exit. -#}
{% macro study_horizons() -%}
    {{ return([1, 3, 7, 14, 30]) }}
{%- endmacro %}

{#- Largest `event_rank` of an event in the study. The rank is as of the event: what came later must not choose the sample. -#}
{% macro study_top_events() -%}
    {{ return(20) }}
{%- endmacro %}

{#- Samples that chance draws, and what their places are hashed from. -#}
{% macro study_draws() -%}
    {{ return(999) }}
{%- endmacro %}

{% macro study_seed() -%}
    {{ return('taker event study') }}
{%- endmacro %}

{#- Below this number of events nothing is concluded. -#}
{% macro study_minimum() -%}
    {{ return(10) }}
{%- endmacro %}

{#- Long after takers sold unusually, short after they bought unusually: the position against the crowd. -#}
{% macro contrarian(side, price_return) -%}
    case {{ side }} when 'bearish' then {{ price_return }} else -{{ price_return }} end
{%- endmacro %}
