-- One row per market and funding.
select
    rates.venue || ':' || rates.symbol as market_id,
    {{ utc_timestamp('rates.calculated_at') }} as calculated_at,
    rates.funding_interval_hours,
    rates.funding_rate
from {{ raw_relation('fundingRate') }} as rates
