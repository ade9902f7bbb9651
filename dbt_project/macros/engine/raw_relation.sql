{#- A dataset of the raw zone as a relation. The only place that knows how an engine reads the zone's files.

A dataset without files (nothing ingested yet) is an empty relation with the columns the source declares, so that every model
builds from the first minute on. Unit tests hand in a fixture through `source`, and get it back. -#}
{% macro raw_relation(dataset) -%}
    {%- set declared = source('raw', dataset) -%}
    {%- if declared.is_cte -%}
        {{ declared }}
    {%- elif execute -%}
        {{ adapter.dispatch('raw_relation', 'taker')(dataset) }}
    {%- else -%}
        {{ declared }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__raw_relation(dataset) -%}
    {%- set layout = raw_layout(dataset) -%}
    {%- set pattern = (var('raw_url') ~ '/' ~ layout.pattern) | replace("'", "''") -%}
    {%- set found = run_query("select 1 from glob('" ~ pattern ~ "') limit 1") -%}
    {%- if found.rows | length == 0 -%}
        {{ taker.empty_raw_relation(dataset) }}
    {%- elif dataset == 'instruments' -%}
        {#- What a venue says of itself is never asked again for a past day: files of before a column stand beside newer ones. -#}
        (
            select * from {{ taker.empty_raw_relation(dataset) }}
            union all by name
            select * from read_parquet('{{ pattern }}', union_by_name = true, hive_partitioning = true, hive_types = {
                {%- for name, type in layout.partitions.items() %}'{{ name }}': {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
            })
        )
    {%- elif layout.partitions -%}
        read_parquet('{{ pattern }}', hive_partitioning = true, hive_types = {
            {%- for name, type in layout.partitions.items() %}'{{ name }}': {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
        })
    {%- else -%}
        read_parquet('{{ pattern }}')
    {%- endif -%}
{%- endmacro %}

{#- Where a dataset's files lie under the raw zone, and the partition columns that only their paths hold. -#}
{% macro raw_layout(dataset) -%}
    {%- if dataset in ['receipts', 'coverage', 'defects'] -%}
        {{ return({'pattern': dataset ~ '.parquet', 'partitions': {}}) }}
    {%- elif dataset == 'klines' -%}
        {{ return({
            'pattern': 'klines/*/*/*/*/data.parquet',
            'partitions': {'venue': 'varchar', 'symbol': 'varchar', 'interval': 'varchar', 'month': 'varchar'},
        }) }}
    {%- elif dataset == 'restKlines' -%}
        {{ return({
            'pattern': 'restKlines/*/*/*/*/data.parquet',
            'partitions': {'venue': 'varchar', 'symbol': 'varchar', 'interval': 'varchar', 'date': 'date'},
        }) }}
    {%- elif dataset == 'fundingRate' -%}
        {{ return({
            'pattern': 'fundingRate/*/*/*/data.parquet',
            'partitions': {'venue': 'varchar', 'symbol': 'varchar', 'month': 'varchar'},
        }) }}
    {%- else -%}
        {{ return({
            'pattern': dataset ~ '/*/*/*/data.parquet',
            'partitions': {'venue': 'varchar', 'symbol': 'varchar', 'date': 'date'},
        }) }}
    {%- endif -%}
{%- endmacro %}

{% macro empty_raw_relation(dataset) -%}
    {%- set declared = graph.sources.values()
        | selectattr('source_name', 'equalto', 'raw') | selectattr('name', 'equalto', dataset) | first -%}
    (
        select
        {%- for column in declared.columns.values() %}
            cast(null as {{ column.data_type }}) as "{{ column.name }}"{{ ',' if not loop.last }}
        {%- endfor %}
        where false
    )
{%- endmacro %}
