-- One row per venue and hour, in parts (see macros/liquidations.sql): its markets of that hour together, with the
-- coverage of its feed. Only where the feed was collected: an archive holds the few markets that were requested, and
-- their sum is not the venue's.
with market_totals as (
    select
        venue,
        hour_at,
        sum(long_usd) as long_usd,
        sum(short_usd) as short_usd,
        sum(order_count) as order_count,
        sum(unvalued_order_count) as unvalued_order_count,
        max(largest_order_usd) as largest_order_usd,
        sum(conflicting_order_count) as conflicting_order_count,
        min(first_conflict) as first_conflict,
        max(case when archive_hours > 0 and covered_minutes > 0 then 1 else 0 end) as archive_hours
    from {{ ref('int_liquidation_market_hours') }}
    group by venue, hour_at
)

select
    hours.venue,
    hours.venue || ':ALL' as market_id,
    hours.hour_at,
    hours.is_trailing,
    cast(coalesce(case when hours.covered_minutes > 0 then market_totals.long_usd end, 0) as decimal(38,8)) as long_usd,
    cast(coalesce(case when hours.covered_minutes > 0 then market_totals.short_usd end, 0) as decimal(38,8))
        as short_usd,
    cast(coalesce(case when hours.covered_minutes > 0 then market_totals.order_count end, 0) as bigint) as order_count,
    cast(
        coalesce(case when hours.covered_minutes > 0 then market_totals.unvalued_order_count end, 0) as bigint
    ) as unvalued_order_count,
    case when hours.covered_minutes > 0 then market_totals.largest_order_usd end as largest_order_usd,
    cast(coalesce(market_totals.conflicting_order_count, 0) as bigint) as conflicting_order_count,
    market_totals.first_conflict,
    hours.covered_minutes,
    cast(
        case
            when hours.is_every_order and hours.subscribed_symbols = '' and hours.covered_minutes = 60
                and hours.lost_messages = 0
                and coalesce(market_totals.archive_hours, 0) = 0 then 1
            else 0
        end as bigint
    ) as exact_hours,
    cast(coalesce(case when hours.covered_minutes > 0 then market_totals.archive_hours end, 0) as bigint)
        as archive_hours,
    cast(1 as bigint) as live_hours,
    hours.subscribed_symbol_count
from {{ ref('int_liquidation_venue_hours') }} as hours
left join market_totals on hours.venue = market_totals.venue and hours.hour_at = market_totals.hour_at
order by hours.venue, hours.hour_at
