{#- The venue's metrics are read once, into `int_metrics_hours`, and only those of days that have changed: a year of metrics is a year of
files, and opening them costs more than everything else that the analysis does. -#}

{#- Changes whenever the SQL behind an hour does. Model texts are fingerprinted; macros are not visible here, so raise the number when one that
values a metric changes its result. -#}
{% macro metrics_logic_version() -%}
    {%- set texts = ['macros 1'] -%}
    {%- if execute -%}
        {%- for name in ['stg_raw__metrics', 'int_metrics_hours'] -%}
            {%- do texts.append(graph.nodes['model.taker.' ~ name].checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(local_md5(texts | join(' '))) }}
{%- endmacro %}

{#- The columns of `int_metrics_hours`, with their types. -#}
{% macro metrics_hour_columns() -%}
    {{ return({
        'market_id': 'varchar', 'trade_date': 'date', 'source_state': 'varchar', 'hour_at': 'timestamp', 'ratio_count': 'bigint',
        'lowest_ratio': 'double', 'highest_ratio': 'double', 'first_ratio': 'double', 'lowest_price': 'double', 'highest_price': 'double',
        'observed_at': 'timestamp', 'open_interest_base': 'decimal(38,8)', 'open_interest_usd': 'decimal(38,8)',
        'first_observed_at': 'timestamp', 'first_open_interest_base': 'decimal(38,8)', 'former_observed_at': 'timestamp',
        'former_open_interest_base': 'decimal(38,8)',
    }) }}
{%- endmacro %}

{#- The hours that the last build left. -#}
{% macro built_metrics_hours() -%}
    {{ taker.former_rows('int_metrics_hours', taker.metrics_hour_columns()) }}
{%- endmacro %}

{#- True for the days to be read. -#}
{% macro is_stale_metrics_day(day_column) -%}
    {%- if not execute -%}{{ return('true') }}{%- endif -%}
    {%- set days = run_query(
        "select distinct receipts.trade_date from " ~ ref('int_metrics_receipts') ~ " as receipts where not exists (select 1 from "
        ~ taker.built_metrics_hours() ~ " as built where built.market_id = receipts.market_id and built.trade_date = receipts.trade_date "
        ~ "and built.source_state = receipts.source_state) order by receipts.trade_date limit " ~ (taker.most_named_days() + 1)
    ).columns[0].values() -%}
    {%- if days | length == 0 -%}
        {{ return('false') }}
    {%- elif days | length > taker.most_named_days() -%}
        {{ return('true') }}
    {%- endif -%}
    {{ return(day_column ~ ' in (' ~ taker.day_literals(days) ~ ')') }}
{%- endmacro %}
