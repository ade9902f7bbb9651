{#- The hours of days whose metrics have not changed are taken from the table of the last build, as the days of open interest are
(`built_open_interest`), for the same reason. -#}

{#- What the last build left, or nothing. Read past `ref`, which would be a cycle. -#}
{% macro built_metrics_hours() -%}
    {%- set built = none -%}
    {%- if execute and not flags.FULL_REFRESH -%}
        {%- set built = adapter.get_relation(this.database, this.schema, 'int_metrics_hours') -%}
    {%- endif -%}
    {%- if built -%}
        {{ built }}
    {%- else -%}
        (
            select
                cast(null as varchar) as market_id, cast(null as date) as trade_date, cast(null as varchar) as source_state,
                cast(null as timestamp) as hour_at, cast(null as bigint) as ratio_count, cast(null as double) as lowest_ratio,
                cast(null as double) as highest_ratio, cast(null as double) as first_ratio, cast(null as double) as lowest_price,
                cast(null as double) as highest_price
            where false
        )
    {%- endif -%}
{%- endmacro %}

{#- True for the days to be read, as literals: an engine prunes files by constants, not by a join. -#}
{% macro is_stale_metrics_day(day_column) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set days = run_query(
        "select distinct receipts.trade_date from " ~ ref('int_metrics_receipts') ~ " as receipts where not exists (select 1 from "
        ~ taker.built_metrics_hours() ~ " as built where built.market_id = receipts.market_id and built.trade_date = receipts.trade_date "
        ~ "and built.source_state = receipts.source_state) order by receipts.trade_date limit 401"
    ).columns[0].values() -%}
    {%- if days | length == 0 -%}
        {{ return('false') }}
    {%- elif days | length > 400 -%}
        {{ return('true') }}
    {%- endif -%}
    {%- set literals = [] -%}
    {%- for day in days -%}{%- do literals.append("cast('" ~ day ~ "' as date)") -%}{%- endfor -%}
    {{ return(day_column ~ ' in (' ~ literals | join(', ') ~ ')') }}
{%- endmacro %}
