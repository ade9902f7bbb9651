{#- Numbers as the words of a sentence. Amounts and bars: see claim_verdicts.sql, which must do without this file. -#}

{#- 0.1234 → `12.3 %`. -#}
{% macro percent_text(ratio) -%}
    cast(cast({{ ratio }} * 100 as decimal(18,1)) as varchar) || ' %'
{%- endmacro %}

{#- The same with its sign: `+12.3 %`, `-0.4 %`. -#}
{% macro change_text(ratio) -%}
    case when cast({{ ratio }} * 100 as decimal(18,1)) > 0 then '+' else '' end || {{ taker.percent_text(ratio) }}
{%- endmacro %}

{#- A share of coverage, rounded down: 99.9 % covered is not all. -#}
{% macro coverage_text(ratio) -%}
    cast(cast(floor(cast({{ ratio }} as decimal(18,8)) * 100) as bigint) as varchar) || ' %'
{%- endmacro %}

{#- `a,b,c` → `a, b and c`. -#}
{% macro enumeration_text(names) -%}
    regexp_replace(replace({{ names }}, ',', ', '), ', ([^,]*)$', ' and \1')
{%- endmacro %}
