{% test positive(model, column_name) %}
-- Every value that is there is above zero.
select {{ column_name }}
from {{ model }}
where {{ column_name }} <= 0
{% endtest %}
