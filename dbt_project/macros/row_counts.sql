{#- Rows of the raw zone as this engine reads them, by dataset, market and day. A day whose object has not changed since it was counted is not
counted again: that would open every file of the history at every build. What every build reads anyway is counted at each. -#}

{#- By dataset: the day of a row. Files of days are known by their path, also when a row is labelled with the next midnight. -#}
{% macro counted_datasets() -%}
    {%- set by_path = '"date"' -%}
    {{ return({
        'aggTrades': by_path, 'trades': by_path, 'klines': 'opened_at', 'metrics': by_path, 'liquidationSnapshot': by_path,
        'fundingRate': 'calculated_at', 'restKlines': by_path, 'restTrades': by_path, 'takerRatio': by_path, 'instruments': by_path,
        'liquidations': by_path, 'liveTrades': by_path,
    }) }}
{%- endmacro %}

{% macro datasets_of_every_build() -%}
    {{ return(['fundingRate', 'instruments', 'liquidationSnapshot', 'liquidations', 'takerRatio']) }}
{%- endmacro %}

{% macro is_counted_at_every_build(dataset_column) -%}
    {{ dataset_column }} in ({{ taker.text_list(taker.datasets_of_every_build()) }})
{%- endmacro %}

{#- What the last build counted. -#}
{% macro counted_rows() -%}
    {{ taker.former_rows('int_raw_row_counts', {
        'dataset': 'string', 'market_id': 'string', 'kline_interval': 'string', 'bar_date': 'date', 'stored_sha256': 'string',
        'found_rows': 'bigint',
    }) }}
{%- endmacro %}

{#- One row per dataset, market, interval and day with rows, of the objects to be counted, and of no other where the engine reads files by name. -#}
{% macro rows_to_count() -%}
    {%- set selects = [] -%}
    {%- if execute -%}
        {%- for dataset, day_column in taker.counted_datasets().items() -%}
            {%- set wanted -%}
                select receipts.market_id, receipts.kline_interval, receipts.period, receipts.bar_date
                from {{ ref('stg_raw__receipts') }} as receipts
                where receipts.status = 'stored' and receipts.dataset = '{{ dataset }}'
                {%- if dataset not in taker.datasets_of_every_build() %}
                    and not exists (
                        select 1
                        from {{ taker.counted_rows() }} as counted
                        where counted.dataset = receipts.dataset
                            and counted.market_id = receipts.market_id
                            and counted.kline_interval = receipts.kline_interval
                            and counted.bar_date = receipts.bar_date
                            and counted.stored_sha256 = receipts.stored_sha256
                            and counted.found_rows = receipts.row_count
                    )
                {%- endif %}
            {%- endset -%}
            {%- if run_query('select 1 from (' ~ wanted ~ ') as wanted limit 1').rows | length > 0 -%}
                {%- set relation = taker.raw_relation(dataset) if dataset in taker.datasets_of_every_build()
                    else taker.raw_objects(dataset, wanted) -%}
                {%- set by_path = day_column == '"date"' -%}
                {%- set at = utc_timestamp('files.' ~ day_column) -%}
                {#- A funding of midnight may be stamped up to 30 s early; ingestion counts it on the day that it is of. -#}
                {%- set at = at ~ " + interval '30' second" if dataset == 'fundingRate' else at -%}
                {%- set day = 'files."date"' if by_path else 'cast(' ~ at ~ ' as date)' -%}
                {%- set interval = 'files."interval"' if dataset in ('klines', 'restKlines') else "''" -%}
                {%- do selects.append(
                    "select '" ~ dataset ~ "' as dataset, files.venue || ':' || files.symbol as market_id, " ~ interval
                    ~ " as kline_interval, " ~ day ~ " as bar_date, count(*) as found_rows from " ~ relation
                    ~ " as files group by all"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if selects -%}
        ({{ selects | join(' union all ') }})
    {%- else -%}
        (
            select
                cast(null as string) as dataset, cast(null as string) as market_id, cast(null as string) as kline_interval,
                cast(null as date) as bar_date, cast(null as bigint) as found_rows
            where false
        )
    {%- endif -%}
{%- endmacro %}
