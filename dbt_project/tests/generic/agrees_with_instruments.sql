{% test agrees_with_instruments(model, instruments) %}
-- Where the venue reports a contract's size and first day, the seed must agree: amounts hang on it. Which one is wrong is for a person to decide.
with compared as (
    select
        seed.market_id,
        seed.contract_size as seed_contract_size,
        instruments.contract_size as venue_contract_size,
        seed.listed_on as seed_listed_on,
        cast(instruments.listed_at as date) as venue_listed_on,
        cast(cast(instruments.observed_at as date) as string) as reported_on
    from {{ model }} as seed
    inner join {{ instruments }} as instruments on seed.market_id = instruments.market_id
)
{%- for column, remedy in [('contract_size', 'correct or remove the row'), ('listed_on', 'correct or empty listed_on')] %}

select
    '{{ column }} is as the venue reports it' as rule,
    'market_id ' || market_id as row_text,
    'seed markets.csv has ' || cast(seed_{{ column }} as string) || ', the venue reported '
        || cast(venue_{{ column }} as string) || ' on ' || reported_on
        || ': {{ remedy }} of ' || market_id || ' in dbt_project/seeds/markets.csv' as value_text
from compared
where venue_{{ column }} <> seed_{{ column }}
{{ 'union all' if not loop.last }}
{%- endfor %}
{% endtest %}
