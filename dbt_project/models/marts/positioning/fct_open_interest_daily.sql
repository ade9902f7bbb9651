-- One row per market and UTC day of the venue's metrics: the day's last observation of open interest, its change over a
-- day, and what contradicts it.
with compared_days as (
    select
        days.*,
        max(case when conflict is null then open_interest_base end) over day_before as base_24h_before
    from {{ ref('int_open_interest_daily') }} as days
    window day_before as {{ hours_apart('market_id', 'cast(bar_date as timestamp)', 24) }}
)

select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
    bar_date,
    {{ open_interest_columns(hours=[24], observations=288) }}
from compared_days
order by market_id, bar_date
