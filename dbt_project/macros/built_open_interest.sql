{#- Open interest of days whose metrics have not changed is taken from the table of the last build: a year of metrics is a year of files, and
opening them costs more than everything else that the analysis does. -#}

{% macro open_interest_logic_version() -%}
    {%- set texts = [] -%}
    {%- if execute -%}
        {%- for name in ['stg_raw__metrics', 'int_open_interest_daily', 'int_metrics_hours'] -%}
            {%- do texts.append(graph.nodes['model.taker.' ~ name].checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(local_md5(texts | join(' '))) }}
{%- endmacro %}

{#- What the last build left; nothing when there is none, or one without the columns that are needed. Read past `ref`, which would
be a cycle. -#}
{% macro built_open_interest() -%}
    {%- set built = none -%}
    {%- if execute and not flags.FULL_REFRESH -%}
        {%- set built = adapter.get_relation(this.database, this.schema, 'int_open_interest_daily') -%}
        {%- if built and 'first_observed_at' not in adapter.get_columns_in_relation(built) | map(attribute='name') -%}
            {%- set built = none -%}
        {%- endif -%}
    {%- endif -%}
    {%- if built -%}
        {{ built }}
    {%- else -%}
        (
            select
                cast(null as varchar) as market_id, cast(null as date) as trade_date, cast(null as varchar) as source_state,
                cast(null as decimal(38,8)) as open_interest_base, cast(null as decimal(38,8)) as open_interest_usd,
                cast(null as timestamp) as observed_at, cast(null as timestamp) as first_observed_at,
                cast(null as decimal(38,8)) as first_open_interest_base, cast(null as timestamp) as former_observed_at,
                cast(null as decimal(38,8)) as former_open_interest_base
            where false
        )
    {%- endif -%}
{%- endmacro %}

{#- True for the days to be read, as literals: an engine prunes files by constants, not by a join. -#}
{% macro is_stale_open_interest_day(day_column) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set days = run_query(
        "select distinct receipts.trade_date from " ~ ref('int_metrics_receipts') ~ " as receipts where not exists (select 1 from "
        ~ taker.built_open_interest() ~ " as built where built.market_id = receipts.market_id and built.trade_date = receipts.trade_date "
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
