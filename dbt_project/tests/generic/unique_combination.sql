{% test unique_combination(model, columns) %}
-- The columns together are a key: no two rows share their values.
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
