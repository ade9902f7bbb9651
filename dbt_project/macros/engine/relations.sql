{#- How an engine replaces a table or a view and comments on it. Nothing else: what is built is the models' business.

On DuckDB, dbt's own way builds a copy under another name, renames twice, drops the former one and reads the columns back, twice: eleven statements, and
five of them render every macro of the project anew. DuckDB can do all of it in one transaction, where other connections see the former
relation until the commit: of an empty warehouse's build that is a quarter of the time. -#}

{% materialization table, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {{ return(taker.replaced(target, taker.made_whole(target, compiled_code), pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- The statement that makes all rows of a table anew. -#}
{% macro made_whole(target, rows) -%}
    {%- if config.get('contract').enforced %}
    drop table if exists {{ target }};
    {{ create_table_as(False, target, rows) }}
    {%- else %}
    {#- In one statement: a model may read its own former rows. #}
    create or replace table {{ target }} as (
        {{ rows }}
    )
    {%- endif %}
{%- endmacro %}

{#- A table of which a build replaces the rows that changed. The model gives those rows (all of them where `replaces_changes` is false);
`meta.replaced` states which former rows they replace: those that share `keys` with a row of the model `changes`, and whose `instant` lies
from its `from_at` (or the column that `from` names) until before its `to_at`; without an `instant`, where the row `is_changed`, of the day of `day_of` if that is given;
with `is_all`, every row there. New rows are made before former ones are cleared, so that a model may read these. One transaction: other
connections see all of it or nothing. -#}
{% materialization changed_rows, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set statement = taker.made_changed(target, compiled_code) if taker.replaces_changes() else taker.made_whole(target, compiled_code) -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- The statements that put new rows in the place of those that `meta.replaced` names. -#}
{% macro made_changed(target, rows) -%}
    create or replace temp table {{ target.identifier }}__new as (
        {{ rows }}
    );
    {{ taker.cleared_changes(target) }};
    insert into {{ target }} by name select * from {{ target.identifier }}__new;
    drop table {{ target.identifier }}__new
{%- endmacro %}

{#- The statement that clears those rows. Joined: with `exists`, DuckDB groups all rows of the table by what is compared with `from_at`, fifteen
times the work. -#}
{% macro cleared_changes(target) -%}
    {%- set replaced = config.get('meta').replaced -%}
    delete from {{ target }} as former
    using {{ taker.changes_relation(replaced) }} as changes
    where {{ taker.is_replaced(replaced, 'former', 'changes') }}
{%- endmacro %}

{#- The relation that states which former rows are replaced. -#}
{% macro changes_relation(replaced) -%}
    {{ this.incorporate(path={'identifier': replaced.changes}) }}
{%- endmacro %}

{#- True where a former row is one of those that a row of the changes states. -#}
{% macro is_replaced(replaced, former, changes) -%}
    true
    {%- for key in replaced['keys'] %} and {{ changes }}.{{ key }} = {{ former }}.{{ key }}{% endfor %}
    {%- if replaced.instant %}
        and {{ former }}.{{ replaced.instant }} >= {{ changes }}.{{ replaced.get('from', 'from_at') }} and {{ former }}.{{ replaced.instant }} < {{ changes }}.to_at
    {%- elif not replaced.is_all %}
        and {{ changes }}.is_changed
    {%- endif %}
    {%- if replaced.day_of %}
        and {{ changes }}.bar_date = cast({{ former }}.{{ replaced.day_of }} as date)
    {%- endif %}
{%- endmacro %}

{% materialization view, adapter='duckdb' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set statement -%}
        create or replace view {{ target }} as (
            {{ compiled_code }}
        )
    {%- endset -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- Run the statement that makes `target`, its comments and the hooks in one transaction. A model that became a view was a table before, or the
other way round: the statement does not replace the other kind. -#}
{% macro replaced(target, statement_text, pre_hooks, post_hooks) -%}
    {%- set former = load_cached_relation(target) -%}
    {%- if former is not none and former.type != target.type -%}
        {%- do adapter.drop_relation(former) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') -%}
        {{ statement_text }}
    {%- endcall %}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{%- endmacro %}

{#- All comments in one statement. A described column that the relation lacks is an error here, and a warning in dbt's own macro. DuckLake has no
comments on columns of a view. -#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set comments -%}
        {%- if for_relation and config.persist_relation_docs() and model.description %}
            {{- alter_relation_comment(relation, model.description) }}
        {%- endif %}
        {%- if for_columns and config.persist_column_docs() and not (relation.is_view and adapter.is_ducklake(relation)) %}
            {%- for column in model.columns.values() if column.description %}
        comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ duckdb_escape_comment(column.description) }};
            {%- endfor %}
        {%- endif %}
    {%- endset -%}
    {%- if comments | trim -%}
        {%- do run_query(comments) -%}
    {%- endif -%}
{%- endmacro %}

{#- Spark: each statement is a transaction of its table in Iceberg's catalog, which swaps the table's metadata. -#}

{% materialization table, adapter='spark' %}
    {%- set target = this.incorporate(type='table') -%}
    {{ return(taker.replaced(target, create_table_as(False, target, compiled_code), pre_hooks, post_hooks)) }}
{% endmaterialization %}

{% materialization view, adapter='spark' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set statement -%}
        create or replace view {{ target }} as
        {{ compiled_code }}
    {%- endset -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- Rows that changed are replaced in one statement, which is one snapshot of the table: a build that ends at any moment leaves the former rows or
the new ones. -#}
{% materialization changed_rows, adapter='spark' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set statement = taker.merged_changes(target, compiled_code) if taker.replaces_changes()
        else create_table_as(False, target, compiled_code) -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- dbt's own way clears the window in a hook, and appends in another snapshot; else the same. -#}
{% materialization incremental, adapter='spark' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- if is_incremental() -%}
        {%- set new_rows = target.incorporate(path={'identifier': this.identifier ~ '__new'}).include(database=false, schema=false) -%}
        {%- do run_query(create_temporary_view(new_rows, compiled_code)) -%}
        {%- do process_schema_changes(config.get('on_schema_change'), new_rows, target) -%}
        {%- set statement = taker.merged_changes(target, 'select * from ' ~ new_rows) -%}
    {%- else -%}
        {%- set statement = create_table_as(False, target, compiled_code) -%}
    {%- endif -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- Nothing is cleared before: the window's rows are replaced in one statement. -#}
{% macro spark__clear_build_window() -%}
{%- endmacro %}

{#- The statement that puts new rows in the place of those that `meta.replaced` names. A former row may match several of the changes, which is
allowed where all that is done is to delete it. -#}
{% macro merged_changes(target, rows) -%}
    {%- set replaced = config.get('meta').replaced -%}
    {%- set found = adapter.get_columns_in_relation(target) -%}
    {%- set columns = found | map(attribute='quoted') | list -%}
    merge into {{ target }} as former
    using (
        select false as is_new, struct(changes.*) as changes
            {%- for column in columns %}, null as {{ column }}{% endfor %}
        from {{ taker.changes_relation(replaced) }} as changes
        union all
        select true as is_new, null as changes, {{ columns | join(', ') }}
        from (
            {{ taker.without_nulls(rows, found | map(attribute='name') | list, taker.never_null()) }}
        ) as new_rows
    ) as made
    on not made.is_new and {{ taker.is_replaced(replaced, 'former', 'made.changes') }}
    when matched then delete
    when not matched and made.is_new then
        insert ({{ columns | join(', ') }}) values (
            {%- for column in columns %}made.{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
        )
{%- endmacro %}

{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- if temporary -%}
        {{ create_temporary_view(relation, compiled_code) }}
    {%- else -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(compiled_code) }}
            {%- set columns = model.columns.values() | map(attribute='name') | list -%}
            {%- set compiled_code = taker.without_nulls(compiled_code, columns, taker.never_null()) -%}
        {%- endif -%}
        create or replace table {{ relation }} using iceberg as
        {{ compiled_code }}
    {%- endif -%}
{%- endmacro %}

{% macro spark__file_format_clause() -%}
    using iceberg
{%- endmacro %}

{#- The tables and views of the schema; dbt's own way describes each of them, which takes a minute. -#}
{% macro spark__list_relations_without_caching(relation) -%}
    {%- set rows = [] -%}
    {%- for kind, information in [('tables', 'Provider: iceberg'), ('views', 'Type: VIEW')] -%}
        {%- for row in run_query('show ' ~ kind ~ ' in ' ~ relation.schema).rows if not row['isTemporary'] -%}
            {%- do rows.append("('" ~ row[0] ~ "', '" ~ row[1] ~ "', false, '" ~ information ~ "')") -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set listed = 'values ' ~ rows | join(', ') if rows else "select '', '', false, '' where false" -%}
    {{ return(run_query('select * from (' ~ listed ~ ') as listed (namespace, name, is_temporary, information)')) }}
{%- endmacro %}

{#- A comment on a column is a change of the table's metadata each: seven hundred of them, more than the build. The manifest has them. -#}
{% macro spark__persist_docs(relation, model, for_relation, for_columns) -%}
{%- endmacro %}

{#- A contract's types by this engine's names. -#}
{% macro spark__get_empty_schema_sql(columns) -%}
    {%- set typed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do typed.update({name: dict(column, data_type='string' if column.data_type == 'varchar' else column.data_type)}) -%}
    {%- endfor -%}
    {{ return(dbt.default__get_empty_schema_sql(typed)) }}
{%- endmacro %}

{#- dbt's own way puts texts between quotes as they are, and ends at the first apostrophe. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set rows = [] -%}
    {%- for row in agate_table.rows -%}
        {%- set values = [] -%}
        {%- for name in agate_table.column_names -%}
            {%- set text = 'null' if row[name] is none else taker.quoted(row[name] | string) -%}
            {%- do values.append('cast(' ~ text ~ ' as ' ~ model.config.column_types[name] ~ ')') -%}
        {%- endfor -%}
        {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- set statement = 'insert into ' ~ this ~ ' values ' ~ rows | join(', ') -%}
    {%- do run_query(statement) -%}
    {{ return(statement) }}
{%- endmacro %}
