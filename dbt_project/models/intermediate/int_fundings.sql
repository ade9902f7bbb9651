-- One row per funding that a venue published. Its times jitter by milliseconds around the hour, so a funding belongs to
-- the minute, and the day, half a minute later.
--
-- A rate beyond what any venue charges at one funding is no rate. Below that nothing in the warehouse contradicts one:
-- rates go to a venue's cap and back within one interval, and each market's are its own.
{{ config(materialized='ephemeral') }}

with published_fundings as (
    select
        market_id,
        date_trunc('minute', calculated_at + interval '30' second) as funded_at,
        funding_interval_hours,
        funding_rate
    from {{ ref('stg_raw__funding_rates') }}
)

select
    market_id,
    funded_at,
    cast(funded_at as date) as trade_date,
    funding_interval_hours,
    funding_rate,
    abs(funding_rate) > {{ highest_funding_rate() }} as is_in_conflict
from published_fundings
