-- One row per market and funding.
with stored_months as (
    select venue, symbol, period
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'fundingRate' and status = 'stored'
)

select
    rates.venue || ':' || rates.symbol as market_id,
    {{ utc_timestamp('rates.calculated_at') }} as calculated_at,
    rates.funding_interval_hours,
    rates.funding_rate
from {{ raw_relation('fundingRate') }} as rates
where exists (
    select 1
    from stored_months
    where stored_months.venue = rates.venue
        and stored_months.symbol = rates.symbol
        and stored_months.period = rates."month"
)
