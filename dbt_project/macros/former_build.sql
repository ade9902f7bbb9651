{#- What a build takes from the tables that the last build left: rows of days that have not changed, so that their files are not opened again.
They are read past `ref`, which would be a cycle. -#}

{#- The rows of a model as the last build left them; none on a full refresh, without a last build, or where that one had other columns.
`columns`: the names that are read, with their types. `beside`: another model whose table must be there too. -#}
{% macro former_rows(model_name, columns, beside=none) -%}
    {%- set former = none -%}
    {%- if execute and not flags.FULL_REFRESH -%}
        {%- set former = adapter.get_relation(this.database, this.schema, model_name) -%}
        {%- if former and beside and not adapter.get_relation(this.database, this.schema, beside) -%}
            {%- set former = none -%}
        {%- endif -%}
    {%- endif -%}
    {%- if former -%}
        {%- set held = run_query('select * from ' ~ former ~ ' where false').column_names -%}
        {%- if columns | reject('in', held) | list -%}
            {%- set former = none -%}
        {%- endif -%}
    {%- endif -%}
    {%- if former -%}
        {{ former }}
    {%- else -%}
        (
            select
            {%- for name, type in columns.items() %}
                cast(null as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
            where false
        )
    {%- endif -%}
{%- endmacro %}
