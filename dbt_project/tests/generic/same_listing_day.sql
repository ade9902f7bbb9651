{% test same_listing_day(model, column_name, instruments) %}
-- Where the venue reports it, the seed must have the same UTC day. Which one is wrong is for a person to decide.
select
    seed.market_id,
    seed.{{ column_name }} as seed_listed_on,
    instruments.listed_at as instruments_listed_at,
    instruments.observed_at,
    'seed markets.csv has ' || cast(seed.{{ column_name }} as varchar) || ', the venue reported '
        || cast(cast(instruments.listed_at as date) as varchar) || ' on '
        || cast(cast(instruments.observed_at as date) as varchar)
        || ': correct or empty listed_on of ' || seed.market_id || ' in dbt_project/seeds/markets.csv' as conflict
from {{ model }} as seed
inner join {{ instruments }} as instruments on seed.market_id = instruments.market_id
where cast(instruments.listed_at as date) <> seed.{{ column_name }}
{% endtest %}
