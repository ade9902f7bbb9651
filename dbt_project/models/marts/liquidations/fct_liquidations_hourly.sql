-- One row per market, venue and all venues together, and UTC hour: `macros/liquidations.sql` has the rules. A market
-- that was only received has the hours of its orders.
with markets as (
    select
        venue, market_id, venue as venue_set, hour_at, long_usd, short_usd, order_count, unvalued_order_count,
        largest_order_usd, conflicting_order_count, first_conflict,
        covered_minutes, exact_hours, archive_hours, live_hours, cast(null as bigint) as subscribed_symbol_count,
        1 as due_hours
    from {{ ref('int_liquidation_market_hours') }}
    where is_ingested or order_count > 0 or conflicting_order_count > 0
),

venues as (
    select
        venue, market_id, venue as venue_set, hour_at, is_trailing, long_usd, short_usd, order_count,
        unvalued_order_count,
        largest_order_usd, conflicting_order_count, first_conflict, covered_minutes, exact_hours, archive_hours,
        live_hours, subscribed_symbol_count,
        1 as due_hours
    from {{ ref('int_liquidation_venue_totals') }}
),

all_venues as (
    select * from {{ over_all_venues('venues', 'hour_at', 1) }} as sums
),

totals as (
    select * from markets
    union all
    select
        venue, market_id, venue_set, hour_at, long_usd, short_usd, order_count, unvalued_order_count, largest_order_usd,
        conflicting_order_count, first_conflict, covered_minutes, exact_hours, archive_hours, live_hours,
        subscribed_symbol_count, due_hours
    from venues
    where not is_trailing
    union all
    select * from all_venues
)

select
    venue,
    market_id,
    hour_at as bar_at,
    {{ liquidation_columns() }},
    venue_set
from totals
order by venue, market_id, bar_at
