{#- What an engine does not enforce of a contract by itself. Nothing else: types and names of columns are compared by dbt, other rules are data tests.

DuckDB makes a mart with columns that are NOT NULL, and refuses a row that breaks it. What Spark makes of a query has no such column, and Iceberg lets
none become so later; a table that is made first and filled then would be empty in between. -#}

{#- The columns of the model in which its contract allows no NULL. -#}
{% macro never_null() -%}
    {%- set names = [] -%}
    {%- if config.get('contract').enforced -%}
        {%- for column in model.columns.values() if 'not_null' in column.constraints | map(attribute='type') -%}
            {%- do names.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(names) }}
{%- endmacro %}

{#- These rows by these columns, for Spark to write; a NULL in one of the `required` ends the statement. -#}
{% macro without_nulls(rows, columns, required) -%}
    select
        {%- for column in columns %}
        {% if column in required -%}
            coalesce("{{ column }}", raise_error('NOT NULL constraint failed: {{ column }}')) as
        {%- endif %} "{{ column }}"{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        {{ rows }}
    ) as rows_of_contract
{%- endmacro %}
