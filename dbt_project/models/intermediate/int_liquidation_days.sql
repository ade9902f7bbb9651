-- One row per market, venue and all venues together, and UTC day: the sum of its hours. Days that the archive does not
-- have are rows too, without numbers. A market that was only received has the days of its orders.
with venues as (
    select
        venue,
        market_id,
        max(venue) as venue_set,
        cast(hour_at as date) as bar_date,
        min(case when is_trailing then 1 else 0 end) = 1 as is_trailing,
        cast(sum(long_usd) as decimal(38,8)) as long_usd,
        cast(sum(short_usd) as decimal(38,8)) as short_usd,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unvalued_order_count) as bigint) as unvalued_order_count,
        max(largest_order_usd) as largest_order_usd,
        cast(sum(conflicting_order_count) as bigint) as conflicting_order_count,
        min(first_conflict) as first_conflict,
        cast(sum(covered_minutes) as bigint) as covered_minutes,
        cast(sum(exact_hours) as bigint) as exact_hours,
        cast(sum(archive_hours) as bigint) as archive_hours,
        cast(sum(live_hours) as bigint) as live_hours,
        min(subscribed_symbol_count) as subscribed_symbol_count,
        cast(24 as bigint) as due_hours
    from {{ ref('int_liquidation_venue_totals') }}
    group by venue, market_id, cast(hour_at as date)
),

markets as (
    select
        venue,
        market_id,
        venue as venue_set,
        cast(hour_at as date) as bar_date,
        cast(sum(long_usd) as decimal(38,8)) as long_usd,
        cast(sum(short_usd) as decimal(38,8)) as short_usd,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unvalued_order_count) as bigint) as unvalued_order_count,
        max(largest_order_usd) as largest_order_usd,
        cast(sum(conflicting_order_count) as bigint) as conflicting_order_count,
        min(first_conflict) as first_conflict,
        cast(sum(covered_minutes) as bigint) as covered_minutes,
        cast(sum(exact_hours) as bigint) as exact_hours,
        cast(sum(archive_hours) as bigint) as archive_hours,
        cast(sum(live_hours) as bigint) as live_hours,
        cast(null as bigint) as subscribed_symbol_count,
        cast(24 as bigint) as due_hours
    from {{ ref('int_liquidation_market_hours') }}
    group by venue, market_id, is_ingested, cast(hour_at as date)
    having is_ingested or sum(order_count) > 0 or sum(conflicting_order_count) > 0
),

all_venues as (
    select * from {{ over_all_venues('venues', 'bar_date', 24) }} as sums
),

totals as (
    select * from markets
    union all
    select
        venue, market_id, venue_set, bar_date, long_usd, short_usd, order_count, unvalued_order_count,
        largest_order_usd, conflicting_order_count, first_conflict,
        covered_minutes, exact_hours, archive_hours, live_hours, subscribed_symbol_count, due_hours
    from venues
    where not is_trailing
    union all
    select * from all_venues
)

select
    venue,
    market_id,
    bar_date,
    {{ liquidation_columns() }},
    venue_set
from totals
