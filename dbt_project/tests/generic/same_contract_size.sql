{% test same_contract_size(model, column_name, instruments) %}
-- Where the venue reports it, the seed must agree. Which one is wrong is for a person to decide: amounts
-- hang on it.
select
    seed.market_id,
    seed.{{ column_name }} as seed_contract_size,
    instruments.contract_size as instruments_contract_size,
    instruments.observed_at,
    'seed markets.csv has ' || cast(seed.{{ column_name }} as varchar) || ', the venue reported '
        || cast(instruments.contract_size as varchar) || ' on '
        || cast(cast(instruments.observed_at as date) as varchar)
        || ': correct or remove the row of ' || seed.market_id || ' in dbt_project/seeds/markets.csv' as conflict
from {{ model }} as seed
inner join {{ instruments }} as instruments on seed.market_id = instruments.market_id
where instruments.contract_size <> seed.{{ column_name }}
{% endtest %}
