-- One row per funding that a venue published. Its times jitter by milliseconds around the hour, so a funding belongs to
-- the minute, and the day, half a minute later; one that is published twice is one.
--
-- A rate beyond what any venue charges at one funding is no rate, and two rates of one funding are none. Else nothing
-- in the warehouse contradicts one: rates go to a venue's cap and back within one interval, and each market's are its
-- own.
with published_fundings as (
    select
        market_id,
        date_trunc('minute', calculated_at + interval '30' second) as funded_at,
        funding_interval_hours,
        funding_rate
    from {{ ref('stg_raw__funding_rates') }}
),

fundings as (
    select
        market_id,
        funded_at,
        max(funding_interval_hours) as funding_interval_hours,
        min(funding_rate) as funding_rate,
        max(funding_rate) as other_rate
    from published_fundings
    group by market_id, funded_at
)

select
    market_id,
    funded_at,
    cast(funded_at as date) as bar_date,
    funding_interval_hours,
    funding_rate,
    case
        when funding_rate <> other_rate
            then 'funding rates ' || {{ figure_text('funding_rate') }} || ' and ' || {{ figure_text('other_rate') }}
                || ' are both published of one funding'
        when abs(funding_rate) > {{ highest_funding_rate() }}
            then 'funding rate ' || {{ figure_text('funding_rate') }}
                || ' is beyond the {{ highest_funding_rate() }} that no venue exceeds at one funding'
    end as conflict
from fundings
order by market_id, funded_at
