{#- Which (market, source, day) a build replaces: decided in `int_build_window`, cleared and refilled in `int_flow_bars`, noted in
`int_built_receipts`. A new file, a late one, a corrected one and a backfill are the same case: a receipt that differs from the note. -#}

{#- Changes whenever the SQL behind a bar does, so that bars of an older meaning never mix with newer ones. Model texts are fingerprinted here,
the macros that they call where dbt is started (`macros_version`). -#}
{% macro flow_logic_version() -%}
    {%- set texts = [taker.macros_version()] -%}
    {%- if execute -%}
        {%- for name in [
            'stg_raw__agg_trades', 'stg_raw__trades', 'stg_raw__klines', 'stg_raw__rest_klines', 'stg_raw__rest_trades', 'stg_raw__live_trades',
            'int_trades', 'int_trade_minutes', 'int_flow_bars',
        ] -%}
            {%- do texts.append(graph.nodes['model.taker.' ~ name].checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(local_md5(texts | join(' '))) }}
{%- endmacro %}

{#- The note of the last build; nothing where the bars are gone that it is about. -#}
{% macro built_receipts() -%}
    {{ taker.former_rows('int_built_receipts', {
        'dataset': 'string', 'source': 'string', 'market_id': 'string', 'kline_interval': 'string', 'bar_date': 'date',
        'build_state': 'string', 'build_id': 'string',
    }, beside='int_flow_bars') }}
{%- endmacro %}

{#- The window of the last build, of one that did not complete too. -#}
{% macro former_build_window() -%}
    {{ taker.former_rows('int_build_window', {
        'market_id': 'string', 'source': 'string', 'bar_date': 'date', 'build_id': 'string',
    }) }}
{%- endmacro %}

{#- What is done before the rows of the window are appended. -#}
{% macro clear_build_window() -%}
    {{ return(adapter.dispatch('clear_build_window', 'taker')()) }}
{%- endmacro %}

{% macro default__clear_build_window() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where exists (
            select 1
            from {{ ref('int_build_window') }} as build_window
            where build_window.market_id = {{ this.identifier }}.market_id
                and build_window.source = {{ this.identifier }}.source
                and build_window.bar_date = {{ this.identifier }}.bar_date
        )
    {%- endif -%}
{%- endmacro %}

{#- True for rows of the window, of one source or, without `source`, each of its own. A bar table that does not exist yet, or is built afresh, takes
every day. -#}
{% macro in_build_window(rows, source, day_column) -%}
    {%- if is_incremental() -%}
        exists (
            select 1
            from build_window
            where build_window.market_id = {{ rows }}.market_id
                and build_window.source = {{ "'" ~ source ~ "'" if source else rows ~ '.source' }}
                and build_window.bar_date = {{ rows }}.{{ day_column }}
        )
        {%- set days = build_window_days(source) if source != 'klines' else none -%}
        {%- if days is not none and not days %}
        and false
        {%- elif days is not none %}
        and {{ rows }}.{{ day_column }} in (
            {%- for day in days %}cast('{{ day }}' as date){{ ', ' if not loop.last }}{% endfor -%}
        )
        {%- endif -%}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- The window's days as literals, of one source or of all: an engine prunes files by constants, not by a join. None when they are too many to be
worth it; an empty list where no day of the source is built, so that nothing of it is read. -#}
{% macro build_window_days(source) -%}
    {%- if not execute -%}{{ return(none) }}{%- endif -%}
    {%- set found = run_query(
        "select distinct bar_date from " ~ ref('int_build_window') ~ (" where source = '" ~ source ~ "'" if source else "")
        ~ " order by bar_date limit 401"
    ).columns[0].values() -%}
    {{ return(found if found | length <= 400 else none) }}
{%- endmacro %}

{#- The klines of the files that hold days of the window, as staged; all of them where every day is built. -#}
{% macro klines_to_build() -%}
    {%- if not is_incremental() -%}{{ return(ref('stg_raw__klines')) }}{%- endif -%}
    {{ return(taker.staged_objects('klines', ref('stg_raw__klines'), taker.staged_klines,
        "select distinct receipts.market_id, receipts.kline_interval, receipts.period from " ~ ref('stg_raw__receipts') ~ " as receipts"
        ~ " inner join " ~ ref('int_build_window') ~ " as build_window on build_window.source = 'klines'"
        ~ " and build_window.market_id = receipts.market_id and build_window.bar_date = receipts.bar_date"
        ~ " where receipts.dataset = 'klines' and receipts.status = 'stored'"
        ~ " and receipts.kline_interval in (" ~ taker.text_list(kline_intervals()) ~ ")"
    )) }}
{%- endmacro %}
