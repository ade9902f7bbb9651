{#- The raw zone as relations. The only place that knows how an engine reads the zone's files, and which of them to trust. -#}

{#- Whether an object of a day may be merged into its month's, which states the day of each row in a column of its own
(docs/decisions/0035-settled-months-are-merged.md). Relations of such a dataset also have `is_of_month`: from which of them a row is. -#}
{% macro may_be_merged(dataset) -%}
    {{ return(dataset in ['aggTrades', 'trades', 'metrics', 'liquidationSnapshot']) }}
{%- endmacro %}

{#- A dataset of the raw zone, restricted to what has a receipt: an object is written before its receipt, so that one without is unfinished, and
one whose receipt is not `stored` has been withdrawn. Every staging model reads this; none repeats the rule. -#}
{% macro raw_relation(dataset) -%}
    (
        select files.*
        from {{ taker.raw_files(dataset) }} as files
        where exists (
            select 1
            from {{ ref('base_raw__receipts') }} as receipts
            where receipts.dataset = '{{ dataset }}'
                and receipts.status = 'stored'
                and receipts.venue = files.venue
                and receipts.symbol = files.symbol
                {%- if 'interval' in taker.raw_layout(dataset).partitions %}
                and receipts."interval" = files."interval"
                {%- endif %}
                {%- if 'month' in taker.raw_layout(dataset).partitions %}
                and receipts.period = files."month"
                {%- else %}
                and receipts."day" = files."date"
                {%- if taker.may_be_merged(dataset) and not source('raw', dataset).is_cte %}
                {#- A day may be in its month's object and have one of its own: the receipt states which of them it is read from. #}
                and (length(receipts.period) = 7) = files.is_of_month
                {%- endif %}
                {%- endif %}
        )
    )
{%- endmacro %}

{#- The files of a dataset, or of one of the zone's indexes (receipts, coverage, defects), which have no receipts of their own.

A dataset without files (nothing ingested yet) is an empty relation with the columns the source declares, so that every model
builds from the first minute on; but a zone without receipts that is not new is an error (`require_receipts`). Unit tests hand in a fixture through `source`, and get it back. -#}
{% macro raw_files(dataset) -%}
    {%- set declared = source('raw', dataset) -%}
    {%- if declared.is_cte -%}
        {{ declared }}
    {%- elif execute -%}
        {{ adapter.dispatch('raw_files', 'taker')(dataset) }}
    {%- else -%}
        {{ declared }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__raw_files(dataset) -%}
    {%- set layout = raw_layout(dataset) -%}
    {%- set pattern = (taker.raw_url() ~ '/' ~ layout.pattern) | replace("'", "''") -%}
    {%- set is_known_empty = taker.may_be_merged(dataset) and not run_query(
        "select 1 from " ~ ref('base_raw__receipts') ~ " where dataset = '" ~ dataset ~ "' and status = 'stored' limit 1"
    ).rows -%}
    {%- if is_known_empty -%}
        {#- Folders of which each holds a receipt of a day that the archive does not have: a glob looks into all of them. -#}
        {{ return(taker.days_and_months(dataset, none, [])) }}
    {%- endif -%}
    {%- set found = run_query("select 1 from glob('" ~ pattern ~ "') limit 1") -%}
    {%- if dataset == 'receipts' -%}
        {%- do taker.require_receipts(pattern, found.rows | length > 0) -%}
    {%- endif -%}
    {%- if taker.may_be_merged(dataset) -%}
        {%- set months = run_query(
            "select 1 from " ~ ref('base_raw__receipts') ~ " where dataset = '" ~ dataset ~ "' and length(period) = 7 limit 1"
        ).rows -%}
        {{ taker.days_and_months(
            dataset,
            "'" ~ pattern ~ "'" if found.rows else none,
            [("'" ~ (pattern | replace('/date=*/', '/month=*/')) ~ "'", none)] if months else []
        ) }}
    {%- elif found.rows | length == 0 -%}
        {{ taker.empty_raw_relation(dataset) }}
    {%- elif dataset == 'instruments' -%}
        {#- Instruments of a past day are never requested again: files written before a column existed are read together with newer ones. -#}
        (
            select * from {{ taker.empty_raw_relation(dataset) }}
            union all by name
            select * from read_parquet('{{ pattern }}', union_by_name = true, hive_partitioning = true, hive_types = {
                {%- for name, type in layout.partitions.items() %}'{{ name }}': {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
            })
        )
    {%- elif layout.partitions -%}
        {{ taker.read_files("'" ~ pattern ~ "'", layout.partitions) }}
    {%- else -%}
        read_parquet('{{ pattern }}')
    {%- endif -%}
{%- endmacro %}

{#- The rows of objects of days, and of some days that objects of months hold. `days`: the files as read_parquet takes them, none without any.
`months`: pairs of such files and the days that are meant of each of them, as literals; none for all. -#}
{% macro days_and_months(dataset, days, months) -%}
    {%- set partitions = raw_layout(dataset).partitions -%}
    {%- set selects = [] -%}
    {%- if days -%}
        {%- do selects.append('select *, false as is_of_month from ' ~ taker.read_files(days, partitions)) -%}
    {%- endif -%}
    {%- for files, meant in months -%}
        {%- do selects.append(
            'select * exclude ("month"), true as is_of_month from '
            ~ taker.read_files(files, {'venue': 'varchar', 'symbol': 'varchar', 'month': 'varchar'})
            ~ (' where "date" in (' ~ meant ~ ')' if meant else '')
        ) -%}
    {%- endfor -%}
    {%- if not selects -%}
        {%- do selects.append('select *, false as is_of_month from ' ~ taker.empty_raw_relation(dataset)) -%}
    {%- endif -%}
    ({{ selects | join('\nunion all by name\n') }})
{%- endmacro %}

{#- An error where the zone has no receipts though it is not new: data lies there, or this warehouse was built from some. Every table would be
built anew, and empty. `pattern`: the file of the receipts. -#}
{% macro require_receipts(pattern, is_there) -%}
    {%- set receipts = run_query("select 1 from read_parquet('" ~ pattern ~ "') limit 1").rows | length if is_there else 0 -%}
    {%- if not receipts -%}
        {%- set zone = taker.raw_url() -%}
        {%- set former = adapter.get_relation(this.database, this.schema, 'base_raw__receipts') -%}
        {%- set built = run_query("select count(*) from " ~ former ~ " where status = 'stored'").rows[0][0] if former else 0 -%}
        {%- if built -%}
            {{ exceptions.raise_compiler_error(
                "the raw zone at " ~ zone ~ " has no receipts, and this warehouse was built from " ~ built ~ " stored days: check that"
                ~ " TAKER_STORAGE_URL and TAKER_STATE_DIR belong together; to begin anew, remove "
                ~ ("the lake and its catalog" if target.path == ':memory:' else target.path)
            ) }}
        {%- endif -%}
        {%- if run_query("select 1 from glob('" ~ (zone | replace("'", "''")) ~ "/*/**/data.parquet') limit 1").rows -%}
            {{ exceptions.raise_compiler_error(
                "the raw zone at " ~ zone ~ " holds data and no index of its receipts: `taker run` writes it"
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- A table of the session's own catalog, declared before dbt starts, with a partition for each receipt (`orchestration/warehouse/spark/raw_zone.py`);
columns that a file does not have are NULL. -#}
{% macro spark__raw_files(dataset) -%}
    {%- if taker.may_be_merged(dataset) -%}
        {%- set declared = graph.sources.values()
            | selectattr('source_name', 'equalto', 'raw') | selectattr('name', 'equalto', dataset) | first -%}
        {%- set columns = declared.columns.keys() | map('lower') | join(', ') -%}
        (
            select {{ columns }}, false as is_of_month from spark_catalog.raw.`{{ dataset }}`
            union all
            select {{ columns }}, true as is_of_month from spark_catalog.raw.`{{ dataset }}_of_months`
        )
    {%- else -%}
        spark_catalog.raw.`{{ dataset }}`
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
            'pattern': dataset ~ ('/*/*/date=*/data.parquet' if taker.may_be_merged(dataset) else '/*/*/*/data.parquet'),
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

{#- The archived trades whose bars are built now, as `int_trades` has them: those of the build window, or all. For `int_trade_minutes`, which has
the window as a CTE. -#}
{% macro trades_to_build() -%}
    {{ return(adapter.dispatch('trades_to_build', 'taker')()) }}
{%- endmacro %}

{% macro default__trades_to_build() -%}
    (
        select trades.*
        from {{ ref('int_trades') }} as trades
        where {{ taker.in_build_window('trades', 'trades', 'bar_date') }}
    )
{%- endmacro %}

{#- By name, the files of exactly these markets and days: each has a receipt, since the days are those of the receipts. Looking up every trade's
market and day in the receipts, the chosen dataset and the window took four fifths of the time of all bars. -#}
{% macro duckdb__trades_to_build() -%}
    {%- set declared = ref('int_trades') -%}
    {%- if declared.is_cte or not execute -%}
        {{ taker.default__trades_to_build() }}
    {%- else -%}
        {%- set staged = {'aggTrades': taker.staged_agg_trades, 'trades': taker.staged_trades} -%}
        {%- set days -%}
            select receipts.dataset, receipts.market_id, '' as kline_interval, receipts.period, receipts.bar_date
            from {{ ref('int_trades_receipts') }} as receipts
            where receipts.status = 'stored'
            {%- if is_incremental() %}
                and exists (
                    select 1
                    from {{ ref('int_build_window') }} as build_window
                    where build_window.source = 'trades'
                        and build_window.market_id = receipts.market_id
                        and build_window.bar_date = receipts.bar_date
                )
            {%- endif %}
        {%- endset -%}
        {%- set selects = [] -%}
        {%- for dataset, staged_rows in staged.items() -%}
            {%- set objects = taker.named_objects(dataset, "select * from (" ~ days ~ ") as days where dataset = '" ~ dataset ~ "'") -%}
            {%- if objects -%}
                {%- do selects.append('select * from ' ~ staged_rows(taker.read_objects(dataset, objects)) ~ ' as trades') -%}
            {%- endif -%}
        {%- endfor -%}
        ({{ selects | join('\nunion all\n') if selects else 'select * from ' ~ declared ~ ' where false' }})
    {%- endif -%}
{%- endmacro %}

{#- The rows of a staging model, of some objects alone; an engine may give all of them. `declared`: the model. `staged`: the macro that makes its
rows of a relation of files. `wanted`: as of `raw_objects`. -#}
{% macro staged_objects(dataset, declared, staged, wanted) -%}
    {{ return(declared if declared.is_cte or not execute else adapter.dispatch('staged_objects', 'taker')(dataset, declared, staged, wanted)) }}
{%- endmacro %}

{% macro default__staged_objects(dataset, declared, staged, wanted) -%}
    {{ declared }}
{%- endmacro %}

{% macro duckdb__staged_objects(dataset, declared, staged, wanted) -%}
    {%- set objects = taker.named_objects(dataset, wanted, taker.most_named_objects() + 1) -%}
    {%- if not objects -%}
        (select * from {{ declared }} where false)
    {%- elif objects | length > taker.most_named_objects() -%}
        {{ declared }}
    {%- else -%}
        {{ staged(taker.read_objects(dataset, objects)) }}
    {%- endif -%}
{%- endmacro %}

{#- Some stored objects of a dataset; an engine may give all of them. `wanted`: a query of them, by market_id, kline_interval, period (the day or
the month of the path) and, where days may be merged into a month's object, the bar_date that is meant of it. -#}
{% macro raw_objects(dataset, wanted) -%}
    {{ return(adapter.dispatch('raw_objects', 'taker')(dataset, wanted)) }}
{%- endmacro %}

{% macro default__raw_objects(dataset, wanted) -%}
    {{ taker.raw_relation(dataset) }}
{%- endmacro %}

{#- By name: the engine prunes files by constants, not by a join, and to prune it lists all of them. -#}
{% macro duckdb__raw_objects(dataset, wanted) -%}
    {%- set objects = taker.named_objects(dataset, wanted, taker.most_named_objects() + 1) -%}
    {%- if not objects -%}
        {{ taker.empty_raw_relation(dataset) }}
    {%- elif objects | length > taker.most_named_objects() -%}
        {{ taker.raw_relation(dataset) }}
    {%- else -%}
        {{ taker.read_objects(dataset, objects) }}
    {%- endif -%}
{%- endmacro %}

{#- Where most of a long history is read anyway: names of so many files are megabytes of SQL. -#}
{% macro most_named_objects() -%}
    {{ return(20000) }}
{%- endmacro %}

{#- The objects that `wanted` names: the path of each, quoted, and, of one that days were merged into, the days that are meant, as literals. -#}
{% macro named_objects(dataset, wanted, most=none) -%}
    {%- set may_be_merged = taker.may_be_merged(dataset) -%}
    {%- set days = "string_agg(distinct cast(bar_date as varchar), ',' order by cast(bar_date as varchar))" if may_be_merged else "''" -%}
    {%- set objects = [] -%}
    {%- for market_id, kline_interval, period, meant in run_query(
        'select market_id, kline_interval, period, ' ~ days ~ ' as meant from (' ~ wanted ~ ') as wanted group by 1, 2, 3 order by 1, 2, 3'
        ~ (' limit ' ~ most if most else '')
    ).rows -%}
        {%- set venue, symbol = market_id.split(':', 1) -%}
        {%- set is_of_month = may_be_merged and period | length == 7 -%}
        {%- set parts = {'venue': venue, 'symbol': symbol, 'interval': kline_interval, 'date': period, 'month': period} -%}
        {%- set folders = [] -%}
        {%- for partition in raw_layout(dataset).partitions -%}
            {%- do folders.append(('month' if is_of_month and partition == 'date' else partition) ~ '=' ~ parts[partition]) -%}
        {%- endfor -%}
        {%- set path = taker.raw_url() ~ '/' ~ dataset ~ '/' ~ (folders | join('/')) ~ '/data.parquet' -%}
        {%- set meant = "date '" ~ (meant.split(',') | join("', date '")) ~ "'" if is_of_month else none -%}
        {%- do objects.append(("'" ~ path | replace("'", "''") ~ "'", meant)) -%}
    {%- endfor -%}
    {{ return(objects) }}
{%- endmacro %}

{#- The rows of named objects. Of months, those of which the same days are meant are read at once: row groups are skipped by constants. -#}
{% macro read_objects(dataset, objects) -%}
    {%- set days = [] -%}
    {%- set months = {} -%}
    {%- for path, meant in objects -%}
        {%- do (months.setdefault(meant, []) if meant else days).append(path) -%}
    {%- endfor -%}
    {%- set days = '[' ~ days | join(', ') ~ ']' if days else none -%}
    {%- if taker.may_be_merged(dataset) -%}
        {%- set of_months = [] -%}
        {%- for meant, paths in months.items() -%}
            {%- do of_months.append(('[' ~ paths | join(', ') ~ ']', meant)) -%}
        {%- endfor -%}
        {{ taker.days_and_months(dataset, days, of_months) }}
    {%- else -%}
        {{ taker.read_files(days, raw_layout(dataset).partitions) }}
    {%- endif -%}
{%- endmacro %}

{#- Parquet files, or a pattern of them, with the columns that only their paths hold. -#}
{% macro read_files(files, partitions) -%}
    read_parquet({{ files }}, hive_partitioning = true, hive_types = {
        {%- for name, type in partitions.items() %}'{{ name }}': {{ type }}{{ ', ' if not loop.last }}{% endfor -%}
    })
{%- endmacro %}
