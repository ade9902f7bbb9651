-- One row per market, venue and all venues together, and full hour: the 24 hours [as_of_at − 24 h, as_of_at). A market
-- that was only received has rows as long as an order of it is in that window.
{% set parts = ['long_usd', 'short_usd', 'order_count', 'unvalued_order_count', 'conflicting_order_count',
    'covered_minutes', 'exact_hours', 'archive_hours', 'live_hours'] -%}
with venue_windows as (
    select
        venue,
        market_id,
        venue as venue_set,
        hour_at,
        is_trailing,
        {% for part in parts -%}
        sum({{ part }}) over day_to_here as {{ part }},
        {% endfor -%}
        min(first_conflict) over day_to_here as first_conflict,
        max(largest_order_usd) over day_to_here as largest_order_usd,
        min(subscribed_symbol_count) over day_to_here as subscribed_symbol_count
    from {{ ref('int_liquidation_venue_totals') }}
    window day_to_here as (
        partition by venue, market_id
        order by hour_at
        range between interval '23' hour preceding and current row
    )
),

market_windows as (
    select
        venue,
        market_id,
        is_ingested,
        hour_at,
        {% for part in parts -%}
        sum({{ part }}) over day_to_here as {{ part }},
        {% endfor -%}
        min(first_conflict) over day_to_here as first_conflict,
        max(largest_order_usd) over day_to_here as largest_order_usd
    from {{ ref('int_liquidation_market_hours') }}
    window day_to_here as (
        partition by venue, market_id, is_ingested
        order by hour_at
        range between interval '23' hour preceding and current row
    )
),

markets as (
    select
        venue,
        market_id,
        venue as venue_set,
        hour_at,
        long_usd,
        short_usd,
        order_count,
        unvalued_order_count,
        largest_order_usd,
        conflicting_order_count,
        first_conflict,
        covered_minutes,
        exact_hours,
        archive_hours,
        live_hours,
        cast(null as bigint) as subscribed_symbol_count,
        24 as due_hours
    from market_windows
    where is_ingested or order_count > 0 or conflicting_order_count > 0
),

all_venues as (
    select * from {{ over_all_venues('venue_windows', 'hour_at', 24) }} as sums
),

totals as (
    select * from markets
    union all
    select
        venue, market_id, venue_set, hour_at, long_usd, short_usd, order_count, unvalued_order_count,
        largest_order_usd, conflicting_order_count, first_conflict, covered_minutes, exact_hours, archive_hours,
        live_hours, subscribed_symbol_count, 24 as due_hours
    from venue_windows
    where not is_trailing
    union all
    select * from all_venues
)

select
    venue,
    market_id,
    hour_at + interval '1' hour as as_of_at,
    {{ liquidation_columns() }},
    venue_set
from totals
order by venue, market_id, as_of_at
