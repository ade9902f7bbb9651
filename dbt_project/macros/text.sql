{#- Numbers, amounts and bars as the words of a sentence. -#}

{#- 0.1234 → `12.3 %`. -#}
{% macro percent_text(ratio) -%}
    cast(cast({{ ratio }} * 100 as decimal(38,1)) as string) || ' %'
{%- endmacro %}

{#- The same with its sign: `+12.3 %`, `-0.4 %`. -#}
{% macro change_text(ratio) -%}
    case when cast({{ ratio }} * 100 as decimal(38,1)) > 0 then '+' else '' end || {{ taker.percent_text(ratio) }}
{%- endmacro %}

{#- A share of coverage, rounded down: 99.9 % covered is not all. -#}
{% macro coverage_text(ratio) -%}
    cast(cast(floor(cast({{ ratio }} as decimal(18,8)) * 100) as bigint) as string) || ' %'
{%- endmacro %}

{#- `a,b,c` → `a, b and c`. -#}
{% macro enumeration_text(names) -%}
    {{ taker.last_comma_replaced("replace(" ~ names ~ ", ',', ', ')", ' and ') }}
{%- endmacro %}

{#- `2026-01-31 16:00 (-1474 M USD)`, or the day alone for daily bars. -#}
{% macro bar_text(grain, unit, bar_at, value) -%}
    substring(cast({{ bar_at }} as string), 1, case when {{ grain }} = '1d' then 10 else 16 end) || ' (' || {{ taker.value_text(unit, value) }} || ')'
{%- endmacro %}

{#- `-1474 M USD`, `1.5 M USD`, `-12 USD`, `17 base`, `sell ratio 0.5300`. -#}
{% macro value_text(unit, value) -%}
    case
        when {{ unit }} = 'sell_ratio' then 'sell ratio ' || cast(cast({{ value }} as decimal(9,4)) as string)
        when {{ unit }} = 'base' then cast(cast(round({{ value }}) as decimal(38,0)) as string) || ' base'
        when abs({{ value }}) >= 100000000 then cast(cast(round({{ value }} / 1000000) as decimal(38,0)) as string) || ' M USD'
        when abs({{ value }}) >= 1000000 then cast(cast({{ value }} / 1000000 as decimal(38,1)) as string) || ' M USD'
        else cast(cast(round({{ value }}) as decimal(38,0)) as string) || ' USD'
    end
{%- endmacro %}

{#- The first ten of a group as one text, in order of `place` (1, 2, …); NULL when there is none. Ordered string aggregates differ from
engine to engine, this does not. -#}
{% macro listed(text, place) -%}
    max(case when {{ place }} = 1 then {{ text }} end)
    {%- for n in range(2, 11) %}
    || coalesce(max(case when {{ place }} = {{ n }} then ', ' || {{ text }} end), '')
    {%- endfor %}
    || case when max({{ place }}) > 10 then ' and ' || cast(max({{ place }}) - 10 as string) || ' more' else '' end
{%- endmacro %}
