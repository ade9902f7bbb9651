-- One row per hour of a venue, or of all venues, beside the sum of its parts: its markets, or its venues.
{% from "macros.sql" import is_simulated, residual, sum_venues %}

with venues as (
    select * from fct_liquidations_hourly
    where ends_with(market_id, ':ALL') and venue not in ({{ sum_venues }})
),

parts as (
    select venue, bar_at, long_usd, short_usd, order_count, unvalued_order_count
    from fct_liquidations_hourly
    where not ends_with(market_id, ':ALL')
    union all
    select
        case when {{ is_simulated("venue", simulated_venues) }} then 'simulated_all' else 'all' end as venue,
        bar_at, long_usd, short_usd, order_count, unvalued_order_count
    from venues
),

sums as (
    select
        venue,
        bar_at,
        coalesce(sum(long_usd), 0) as long_usd,
        coalesce(sum(short_usd), 0) as short_usd,
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(unvalued_order_count), 0) as unvalued_order_count
    from parts
    group by venue, bar_at
)

select
    totals.venue,
    totals.bar_at,
    totals.long_usd,
    totals.short_usd,
    totals.order_count,
    totals.unvalued_order_count,
    sums.long_usd as long_usd_of_parts,
    sums.short_usd as short_usd_of_parts,
    sums.order_count as order_count_of_parts,
    case
        when totals.coverage_ratio = 0 then 0 else {{ residual("totals.long_usd - coalesce(sums.long_usd, 0)") }}
    end as long_residual,
    case
        when totals.coverage_ratio = 0 then 0 else {{ residual("totals.short_usd - coalesce(sums.short_usd, 0)") }}
    end as short_residual,
    case
        when totals.coverage_ratio = 0 then 0 else {{ residual("totals.order_count - coalesce(sums.order_count, 0)") }}
    end as count_residual,
    case
        when totals.coverage_ratio = 0 then 0
        else {{ residual("totals.unvalued_order_count - coalesce(sums.unvalued_order_count, 0)") }}
    end as unvalued_residual
from fct_liquidations_hourly as totals
left join sums
    on totals.venue = sums.venue
    and totals.bar_at = sums.bar_at
where ends_with(totals.market_id, ':ALL')
