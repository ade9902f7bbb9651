{#- What lies between the bars and the marts is replaced only where it changed. What changed is decided by content: the rows of each market and
day are compared with those of the last build that completed, as counts and hashes. A new file, a late one, a corrected one, another set of
markets of `all:BTC` and another seed are the same case ([decision 16](docs/decisions/0016-what-changed-is-decided-by-content.md)).

`int_source_days`, `int_judged_days`, `int_kline_days`, `int_market_bar_days` and `int_bar_days` compare; `int_spike_changes` and `int_rank_changes`
state how far a change reaches; models with the materialization `changed_rows` clear that and append it; `int_built_days` is the note for the next
build, and is written last. -#}

{#- True where this build replaces what changed and keeps the rest. Otherwise the model is built whole: for the first time, with
`--full-refresh`, after another version of the project (`logic_version`: the digest of its models and macros), by hand, and in unit tests.
`table`: the model that is built, where this one is a step of it. -#}
{% macro replaces_changes(table=none) -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type != 'model' -%}{{ return(false) }}{%- endif -%}
    {%- set built = adapter.get_relation(this.database, this.schema, table or this.identifier) -%}
    {{ return(built is not none and built.type == 'table' and taker.note_of_last_build() is not none) }}
{%- endmacro %}

{#- The note of the last build that completed; none where there is no such build, or one of another version. Read past `ref`, which would be a
cycle. `table`: a relation beside it, which the test of a model has to name. -#}
{% macro note_of_last_build(table=none) -%}
    {%- if not execute or flags.FULL_REFRESH or model.resource_type not in ['model', 'test'] -%}{{ return(none) }}{%- endif -%}
    {%- set beside = table or this -%}
    {%- set note = adapter.get_relation(beside.database, beside.schema, 'int_built_days') -%}
    {%- if note is none or taker.is_by_hand() -%}{{ return(none) }}{%- endif -%}
    {%- set current = run_query(
        "select min(logic_version) = '" ~ var('logic_version', '') ~ "' and max(logic_version) = '" ~ var('logic_version', '') ~ "' from " ~ note
    ).columns[0].values()[0] -%}
    {{ return(note if current else none) }}
{%- endmacro %}

{#- The build that wrote this note: what changed is what differs from it; none where there is no note. -#}
{% macro build_of_note() -%}
    {%- set note = taker.note_of_last_build() -%}
    {%- if note -%}
        {{ return(run_query('select max(build_id) from ' ~ note).columns[0].values()[0]) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{#- What a test of a table has to look at: in a build, of a table of which rows are replaced, those that are replaced; else all of it. The others
were tested when they were made. A rule about a key holds among the former rows and the new ones too: rows of one key are replaced together. -#}
{% macro rows_to_test(table) -%}
    {%- set tested = graph.nodes.get('model.taker.' ~ table.identifier) if execute and flags.WHICH == 'build' else none -%}
    {%- set replaced = tested.config.get('meta', {}).get('replaced') if tested else none -%}
    {%- if not replaced or not taker.note_of_last_build(table) -%}{{ return(table) }}{%- endif -%}
    (
        select tested.*
        from {{ table }} as tested
        inner join {{ table.incorporate(path={'identifier': replaced.changes}) }} as changes
            on {{ taker.is_replaced(replaced, 'tested', 'changes') }}
    )
{%- endmacro %}

{#- A model that unit tests need not be given: what changed has no meaning there. -#}
{% macro changes_in(name) -%}
    {%- if model.resource_type != 'unit_test' -%}{{ return(ref(name)) }}{%- endif -%}
{%- endmacro %}

{#- A relation: rows and hash of each market and day of `relation`; of the days that `days`, a model that compares them, finds changed, if that is
given. The sum of hashes depends on no order. -#}
{% macro hashed_days(relation, columns, where=none, days=none) -%}
    (
        select
            market_id,
            bar_date,
            count(*) as row_count,
            sum(cast({{ taker.row_hash(["'" ~ relation ~ "'"] + columns) }} as decimal(38,0))) as row_hashes
        from {{ ref(relation) }} as hashed_rows
        {%- if days %}
        inner join (select market_id, bar_date from {{ ref(days) }} where is_changed) as changed_days
            using (market_id, bar_date)
        {%- endif %}
        {%- if where %}
        where {{ where }}
        {%- endif %}
        group by market_id, bar_date
    )
{%- endmacro %}

{#- The same of a relation whose rows of a day follow from what `days`, another such model, compares: where nothing changed there, the day is as
the note on `layer` has it, and its rows are not read. -#}
{% macro hashed_changed_days(relation, columns, layer, days) -%}
    {#- Named before it is known whether it is read: dbt collects what a model depends on without a note. -#}
    {%- set compared = ref(days) -%}
    {%- set note = taker.note_of_last_build() -%}
    {%- if not note -%}
        {{ return(taker.hashed_days(relation, columns)) }}
    {%- endif -%}
    (
        select market_id, bar_date, row_count, row_hashes
        from {{ taker.hashed_days(relation, columns, days=days) }} as hashed_anew
        union all
        select noted.market_id, noted.bar_date, noted.row_count, noted.row_hashes
        from {{ note }} as noted
        inner join {{ compared }} as unchanged
            on noted.market_id = unchanged.market_id and noted.bar_date = unchanged.bar_date and not unchanged.is_changed
        where noted.layer = '{{ layer }}'
    )
{%- endmacro %}

{#- A relation: `found`, a CTE of `market_id`, `bar_date`, `row_count` and `row_hashes`, compared with the note on `layer`. Changes of a
build that did not complete stay changes: some of its tables may already be those of a state that is gone. -#}
{% macro compared_days(layer) -%}
    {%- set note = taker.note_of_last_build() -%}
    {%- set former = adapter.get_relation(this.database, this.schema, this.identifier) if execute and note else none -%}
(
    with noted as (
    {%- if note %}
        select market_id, bar_date, row_count, row_hashes
        from {{ note }}
        where layer = '{{ layer }}'
    {%- else %}
        select market_id, bar_date, row_count, row_hashes
        from found
        where false
    {%- endif %}
    ),

    unfinished as (
    {%- if former %}
        select former.market_id, former.bar_date
        from {{ former }} as former
        where former.is_changed
            and not exists (select 1 from {{ note }} as note where note.build_id = former.build_id)
    {%- else %}
        select market_id, bar_date
        from found
        where false
    {%- endif %}
    ),

    days as (
        select market_id, bar_date
        from found
        union
        select market_id, bar_date
        from noted
        union
        select market_id, bar_date
        from unfinished
    )

    select
        cast(days.market_id as string) as market_id,
        cast(days.bar_date as date) as bar_date,
        cast(found.row_count as bigint) as row_count,
        cast(found.row_hashes as decimal(38,0)) as row_hashes,
        found.row_count is distinct from noted.row_count
        or found.row_hashes is distinct from noted.row_hashes
        or unfinished.market_id is not null as is_changed,
        cast('{{ invocation_id }}' as string) as build_id
    from days
    left join found on days.market_id = found.market_id and days.bar_date = found.bar_date
    left join noted on days.market_id = noted.market_id and days.bar_date = noted.bar_date
    left join unfinished on days.market_id = unfinished.market_id and days.bar_date = unfinished.bar_date
)
{%- endmacro %}

{#- True for rows of a changed market and day; every row where the model is built whole. `table`: as above. -#}
{% macro is_of_changed_day(rows, changes, table=none) -%}
    {%- set days = taker.changes_in(changes) -%}
    {%- if taker.replaces_changes(table) -%}
        {#- By `in`: of `exists`, DuckDB makes a join that the scan of the rows gets no filter from. #}
        ({{ rows }}.market_id, {{ rows }}.bar_date) in (
            select changed_days.market_id, changed_days.bar_date from {{ days }} as changed_days where changed_days.is_changed
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- The least instant of `column` in rows of a model of changes, as a literal: where most of a table is older, an engine leaves that out by a constant,
and not by a join. -#}
{% macro least_of(changes, column, where='true') -%}
    {%- set least = run_query(
        'select cast(min(' ~ column ~ ') as string) from ' ~ changes ~ ' where ' ~ where
    ).columns[0].values()[0] if execute else none -%}
    {{ "timestamp '" ~ least ~ "'" if least else taker.last_instant() }}
{%- endmacro %}

{#- What a definition of a spike is, in one number. -#}
{% macro definition_hash() -%}
    {{ taker.row_hash(['grain', 'smoothing_bars', 'unit', 'window_days', 'decluster_hours', "coalesce(venue, '')"]) }}
{%- endmacro %}

{#- The value of a definition with the sign that makes lower mean more selling. -#}
{% macro pressure_of(value, unit) -%}
    case when {{ unit }} = 'sell_ratio' then -{{ value }} else {{ value }} end
{%- endmacro %}

{#- Before and after every bar there is. -#}
{% macro first_instant() -%}
    timestamp '1900-01-01 00:00:00'
{%- endmacro %}

{% macro last_instant() -%}
    timestamp '9999-01-01 00:00:00'
{%- endmacro %}
