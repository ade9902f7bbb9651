{#- A data test that fails names what failed. Nothing else: what is tested is stated in the models' YAML.

dbt's own test counts the rows that break a rule; which they are has to be looked up with another query. The tests of this project return `rule`,
`row_text` and `value_text`: of each rule one row is logged. -#}

{% materialization test, adapter='duckdb' %}
    {{ return(taker.tested()) }}
{% endmaterialization %}

{% materialization test, adapter='spark' %}
    {{ return(taker.tested()) }}
{% endmaterialization %}

{% macro tested() -%}
    {%- set made = dbt.materialization_test_default() -%}
    {%- if load_result('main')['table'].rows[0][0] and model.test_metadata -%}
        {%- set examples -%}
            select
                rule,
                min(row_text) as row_text,
                coalesce({{ taker.value_at_first('value_text', 'row_text') }}, 'NULL') as value_text,
                count(*) as row_count
            from ({{ sql }}) as broken
            group by rule
            order by rule
        {%- endset -%}
        {%- for rule, row_text, value_text, row_count in run_query(examples).rows -%}
            {%- do log(
                model.name ~ ': ' ~ rule ~ ': ' ~ row_text ~ ' has ' ~ value_text ~ (' (and ' ~ (row_count - 1) ~ ' more)' if row_count > 1 else ''),
                info=True,
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(made) }}
{%- endmacro %}
