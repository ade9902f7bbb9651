{#- How DuckDB replaces a table or a view and comments on it. Nothing else: what is built is the models' business.

dbt's own way builds a copy under another name, renames twice, drops the former one and reads the columns back, twice: eleven statements, and
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
from its `from_at` until before its `to_at`; without an `instant`, where the row `is_changed`, of the day of `day_of` if that is given;
with `is_all`, every row there. New rows are made before former ones are cleared, so that a model may read these. One transaction: other
connections see all of it or nothing. -#}
{% materialization changed_rows, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set statement = taker.made_changed(target, compiled_code) if taker.replaces_changes() else taker.made_whole(target, compiled_code) -%}
    {{ return(taker.replaced(target, statement, pre_hooks, post_hooks)) }}
{% endmaterialization %}

{#- The statements that put new rows in the place of those that `meta.replaced` names. -#}
{% macro made_changed(target, rows) -%}
    {%- set replaced = config.get('meta').replaced -%}
    {%- set changes = this.incorporate(path={'identifier': replaced.changes}) -%}
    create or replace temp table {{ target.identifier }}__new as (
        {{ rows }}
    );
    delete from {{ target }} as former
    where exists (
        select 1
        from {{ changes }} as changes
        where true
        {%- for key in replaced['keys'] %} and changes.{{ key }} = former.{{ key }}{% endfor %}
        {%- if replaced.instant %}
            and former.{{ replaced.instant }} >= changes.from_at and former.{{ replaced.instant }} < changes.to_at
        {%- elif not replaced.is_all %}
            and changes.is_changed
        {%- endif %}
        {%- if replaced.day_of %}
            and changes.bar_date = cast(former.{{ replaced.day_of }} as date)
        {%- endif %}
    );
    insert into {{ target }} by name select * from {{ target.identifier }}__new;
    drop table {{ target.identifier }}__new
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

{#- All comments in one statement. A described column that the relation lacks is an error here, and a warning in dbt's own macro. -#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set comments -%}
        {%- if for_relation and config.persist_relation_docs() and model.description %}
            {{- alter_relation_comment(relation, model.description) }}
        {%- endif %}
        {%- if for_columns and config.persist_column_docs() %}
            {%- for column in model.columns.values() if column.description %}
        comment on column {{ relation }}.{{ adapter.quote(column.name) }} is {{ duckdb_escape_comment(column.description) }};
            {%- endfor %}
        {%- endif %}
    {%- endset -%}
    {%- if comments | trim -%}
        {%- do run_query(comments) -%}
    {%- endif -%}
{%- endmacro %}
