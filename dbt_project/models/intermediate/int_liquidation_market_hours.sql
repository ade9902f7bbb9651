-- One row per market and hour, in parts (see macros/liquidations.sql): the orders of the hours of
-- `int_liquidation_received_hours`.
--
-- The minute of an order in conflict is not covered. Nothing is covered of an hour whose orders of one side are worth
-- more than the takers of that side traded, or of a day on which more than half of the orders are in conflict.
with days_in_conflict as (
    select distinct market_id, cast(hour_at as date) as bar_date
    from {{ ref('int_liquidation_order_hours') }}
    where is_day_in_conflict
),

sourced_hours as (
    select
        received_hours.market_id,
        received_hours.venue,
        received_hours.hour_at,
        received_hours.source,
        received_hours.is_every_order,
        coalesce(order_hours.conflicting_order_count, 0) + case
            when order_hours.hour_conflict is not null
                then order_hours.order_count - order_hours.conflicting_order_count
            else 0
        end as conflicting_order_count,
        coalesce(order_hours.first_conflict, order_hours.hour_conflict) as first_conflict,
        case
            when days_in_conflict.market_id is not null or order_hours.hour_conflict is not null then 0
            else greatest(received_hours.covered_minutes - coalesce(order_hours.conflicting_minutes, 0), 0)
        end as covered_minutes
    from {{ ref('int_liquidation_received_hours') }} as received_hours
    left join {{ ref('int_liquidation_order_hours') }} as order_hours
        on received_hours.market_id = order_hours.market_id and received_hours.hour_at = order_hours.hour_at
    left join days_in_conflict
        on received_hours.market_id = days_in_conflict.market_id
        and cast(received_hours.hour_at as date) = days_in_conflict.bar_date
)

-- An order of an hour without a covered minute is not a total of that hour, and counts for nothing.
select
    sourced_hours.venue,
    sourced_hours.market_id,
    sourced_hours.hour_at,
    markets.is_ingested,
    cast(coalesce(case when sourced_hours.covered_minutes > 0 then order_hours.long_usd end, 0) as decimal(38,8))
        as long_usd,
    cast(coalesce(case when sourced_hours.covered_minutes > 0 then order_hours.short_usd end, 0) as decimal(38,8))
        as short_usd,
    cast(coalesce(case when sourced_hours.covered_minutes > 0 then order_hours.order_count end, 0) as bigint)
        as order_count,
    cast(
        coalesce(case when sourced_hours.covered_minutes > 0 then order_hours.unvalued_order_count end, 0) as bigint
    ) as unvalued_order_count,
    case when sourced_hours.covered_minutes > 0 then order_hours.largest_order_usd end as largest_order_usd,
    cast(sourced_hours.conflicting_order_count as bigint) as conflicting_order_count,
    sourced_hours.first_conflict,
    cast(sourced_hours.covered_minutes as bigint) as covered_minutes,
    cast(
        case
            when sourced_hours.source = 'live' and sourced_hours.is_every_order and sourced_hours.covered_minutes = 60
                then 1
            else 0
        end as bigint
    ) as exact_hours,
    cast(case when sourced_hours.source = 'archive' then 1 else 0 end as bigint) as archive_hours,
    cast(case when sourced_hours.source = 'live' then 1 else 0 end as bigint) as live_hours
from sourced_hours
inner join {{ ref('int_markets') }} as markets on sourced_hours.market_id = markets.market_id
left join {{ ref('int_liquidation_order_hours') }} as order_hours
    on sourced_hours.market_id = order_hours.market_id and sourced_hours.hour_at = order_hours.hour_at
order by sourced_hours.market_id, sourced_hours.hour_at
