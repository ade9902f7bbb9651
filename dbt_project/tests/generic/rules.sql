{% test rules(model, key=[], not_null=[], positive=[], accepted_values={}, relationships={}, row=[]) %}
-- What every row of a model keeps, in one query: one row per rule and row that breaks it, with the rule, the row (its key, or the columns `row`)
-- and the value. NULL breaks no rule but `key` and `not_null`. A build tests the rows that it replaces (`rows_to_test`), but relationships of all of
-- them: a parent may be gone.
{%- set names = [] %}
{%- for column in row or key or not_null %}
    {%- do names.append("'" ~ column ~ " ' || coalesce(cast(" ~ column ~ " as string), 'NULL')") %}
{%- endfor %}
{%- set row_text = names | join(" || ', ' || ") %}
{%- set broken = [] %}
{%- if key %}
    {%- do broken.append({
        'rule': 'unique ' ~ key | join(', '), 'value': "cast(count(*) as string) || ' rows'",
        'rows': 'true group by ' ~ key | join(', ') ~ ' having count(*) > 1',
    }) %}
{%- endif %}
{%- for column in not_null %}
    {%- do broken.append({'rule': column ~ ' is not null', 'value': column, 'rows': column ~ ' is null'}) %}
{%- endfor %}
{%- for column in positive %}
    {%- do broken.append({'rule': column ~ ' is above zero', 'value': column, 'rows': column ~ ' <= 0'}) %}
{%- endfor %}
{%- for column, values in accepted_values.items() %}
    {%- do broken.append({
        'rule': column ~ ' is one of ' ~ values | join(', '), 'value': column,
        'rows': 'cast(' ~ column ~ " as string) not in ('" ~ values | join("', '") ~ "')",
    }) %}
{%- endfor %}
{%- for column, parent in relationships.items() %}
    {%- do broken.append({
        'rule': column ~ ' is in ' ~ parent.to.identifier, 'value': column, 'is_of_all': true,
        'rows': column ~ ' is not null and ' ~ parent.get('where', 'true') ~ ' and not exists (select 1 from ' ~ parent.to
            ~ ' as parents where parents.' ~ parent.field ~ ' = rows_of_model.' ~ column ~ ')',
    }) %}
{%- endfor %}
{%- set tested = taker.rows_to_test(model) %}
{%- for one in broken %}
select
    '{{ one.rule }}' as rule,
    {{ row_text }} as row_text,
    cast({{ one.value }} as string) as value_text
from {{ model if one.is_of_all else tested }} as rows_of_model
where {{ one.rows }}
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
