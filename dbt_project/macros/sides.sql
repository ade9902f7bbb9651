{#- Which side a value is on, and how extreme it is there. `orchestration.serving` renders `side_of` and `leaning` over the published marts, without dbt:
nothing in this file may use another file's macros or anything of dbt's. -#}

{#- Smaller = more extreme on that side. Only of a sell ratio is the largest value the most bearish. -#}
{% macro extremeness(side, unit, value) -%}
    case when ({{ side }} = 'bearish') = ({{ unit }} = 'sell_ratio') then -{{ value }} else {{ value }} end
{%- endmacro %}

{#- How far a value is to one side: below zero takers sold more than they bought, above zero they bought more. A net amount is that
itself; a sell ratio leans away from one half, and takers sold more above it. -#}
{% macro leaning(unit, value) -%}
    case when {{ unit }} = 'sell_ratio' then 0.5 - {{ value }} else {{ value }} end
{%- endmacro %}

{#- The side of a value by itself, without any rank: the only rule by which something is called bearish or bullish for its value. NULL where
it is balanced or unknown. -#}
{% macro side_of(unit, value) -%}
    case when {{ leaning(unit, value) }} < 0 then 'bearish' when {{ leaning(unit, value) }} > 0 then 'bullish' end
{%- endmacro %}
