-- One row per market, venue and all venues together, and UTC day: the sum of its hours. Days that the archive does not have are rows too,
-- without numbers. A market that was only heard has the days of its orders, covered as its venue is.
with venues as (
    select
        venue,
        market_id,
        max(venue) as venue_set,
        cast(hour_at as date) as trade_date,
        min(case when is_trailing then 1 else 0 end) = 1 as is_trailing,
        cast(sum(long_usd) as decimal(38,8)) as long_usd,
        cast(sum(short_usd) as decimal(38,8)) as short_usd,
        cast(sum(order_count) as bigint) as order_count,
        cast(sum(unvalued_order_count) as bigint) as unvalued_order_count,
        max(largest_order_usd) as largest_order_usd,
        cast(sum(covered_minutes) as bigint) as covered_minutes,
        cast(sum(exact_hours) as bigint) as exact_hours,
        cast(sum(archive_hours) as bigint) as archive_hours,
        cast(sum(live_hours) as bigint) as live_hours,
        cast(24 as bigint) as due_hours
    from {{ ref('int_liquidation_venue_totals') }}
    group by venue, market_id, cast(hour_at as date)
),

market_days as (
    select
        venue,
        market_id,
        is_ingested,
        cast(hour_at as date) as trade_date,
        sum(long_usd) as long_usd,
        sum(short_usd) as short_usd,
        sum(order_count) as order_count,
        sum(unvalued_order_count) as unvalued_order_count,
        max(largest_order_usd) as largest_order_usd,
        sum(covered_minutes) as covered_minutes,
        sum(exact_hours) as exact_hours,
        sum(archive_hours) as archive_hours,
        sum(live_hours) as live_hours
    from {{ ref('int_liquidation_market_hours') }}
    group by venue, market_id, is_ingested, cast(hour_at as date)
),

markets as (
    select
        market_days.venue,
        market_days.market_id,
        market_days.venue as venue_set,
        market_days.trade_date,
        cast(market_days.long_usd as decimal(38,8)) as long_usd,
        cast(market_days.short_usd as decimal(38,8)) as short_usd,
        cast(market_days.order_count as bigint) as order_count,
        cast(market_days.unvalued_order_count as bigint) as unvalued_order_count,
        market_days.largest_order_usd,
        {% for part in ['covered_minutes', 'exact_hours', 'archive_hours', 'live_hours'] -%}
        cast(case when market_days.is_ingested then market_days.{{ part }} else {{ '0' if part == 'archive_hours' else 'venues.' ~ part }} end as bigint) as {{ part }},
        {% endfor -%}
        cast(24 as bigint) as due_hours
    from market_days
    left join venues on market_days.venue = venues.venue and market_days.trade_date = venues.trade_date
    where market_days.is_ingested or market_days.order_count > 0
),

all_venues as (
    {{ over_all_venues('venues', 'trade_date', 24) }}
),

totals as (
    select * from markets
    union all
    select
        venue, market_id, venue_set, trade_date, long_usd, short_usd, order_count, unvalued_order_count, largest_order_usd,
        covered_minutes, exact_hours, archive_hours, live_hours, due_hours
    from venues
    where not is_trailing
    union all
    select * from all_venues
)

select
    venue,
    market_id,
    trade_date,
    {{ liquidation_columns() }},
    venue_set
from totals
order by venue, market_id, trade_date
