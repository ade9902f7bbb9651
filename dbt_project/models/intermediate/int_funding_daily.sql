-- One row per market and UTC day with a funding: the sum of the rates, which a long held all day paid. The venue's times jitter by
-- milliseconds around the hour, so a funding belongs to the day half a minute later.
with fundings as (
    select
        market_id,
        cast(calculated_at + interval '30' second as date) as trade_date,
        funding_interval_hours,
        funding_rate
    from {{ ref('stg_raw__funding_rates') }}
)

select
    market_id,
    trade_date,
    cast(sum(funding_interval_hours) as bigint) as covered_hours,
    cast(sum(funding_rate) as decimal(38,18)) as funding_rate
from fundings
group by market_id, trade_date
order by market_id, trade_date
