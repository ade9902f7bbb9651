-- One row per market, venue and all venues together, and UTC day: the sum of its hours.
select
    venue,
    market_id,
    bar_date,
    long_usd,
    short_usd,
    total_usd,
    order_count,
    unvalued_order_count,
    largest_order_usd,
    coverage_ratio,
    is_lower_bound,
    liquidation_source,
    subscribed_symbol_count,
    conflicting_order_count,
    first_conflict,
    venue_set
from {{ ref('int_liquidation_days') }}
order by venue, market_id, bar_date
