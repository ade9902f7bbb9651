-- One row per market and hour in which its liquidations are due, and how much of the hour they were received.
--
-- An ingested market has every hour that its venue was collected, and every hour of the days that its archive was
-- requested for. A market that was only received has the hours of its orders and the 23 before and after each: venues
-- have hundreds of symbols, and a day or rolling day with an order in it needs no more.
{{ config(materialized='ephemeral') }}

with markets as (
    select market_id, venue, symbol, is_ingested
    from {{ ref('int_markets') }}
),

venue_hours as (
    select venue, hour_at, covered_minutes, is_every_order and lost_messages = 0 as is_every_order, subscribed_symbols
    from {{ ref('int_liquidation_venue_hours') }}
    where not is_trailing
),

archive_hours as (
    select
        market_id,
        status = 'stored' as is_stored,
        {{ each_hour("bar_date", "cast(bar_date as timestamp) + interval '23' hour") }} as hour_at
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot'
),

-- Each order's hour and those around it, from where the order's before ends: no hour twice, however many orders a
-- market has.
received_orders as (
    select
        order_hours.market_id,
        order_hours.hour_at,
        lag(order_hours.hour_at) over (
            partition by order_hours.market_id
            order by order_hours.hour_at
        ) as previous_hour_at
    from {{ ref('int_liquidation_order_hours') }} as order_hours
    inner join markets on order_hours.market_id = markets.market_id
    where not markets.is_ingested
),

received_order_hours as (
    select
        market_id,
        {{ each_hour(
            "greatest("
            ~ "hour_at - interval '23' hour, "
            ~ "coalesce(previous_hour_at, hour_at - interval '48' hour) + interval '24' hour)",
            "hour_at + interval '23' hour"
        ) }} as hour_at
    from received_orders
),

due_hours as (
    select markets.market_id, markets.venue, venue_hours.hour_at
    from markets
    inner join venue_hours on markets.venue = venue_hours.venue
    where markets.is_ingested
    union
    select markets.market_id, markets.venue, archive_hours.hour_at
    from archive_hours
    inner join markets on archive_hours.market_id = markets.market_id
    union
    select markets.market_id, markets.venue, received_order_hours.hour_at
    from received_order_hours
    inner join markets on received_order_hours.market_id = markets.market_id
    inner join venue_hours on markets.venue = venue_hours.venue and received_order_hours.hour_at = venue_hours.hour_at
)

select
    due_hours.market_id,
    due_hours.venue,
    due_hours.hour_at,
    case when coalesce(archive_hours.is_stored, false) or venue_hours.hour_at is null then 'archive' else 'live' end
        as source,
    case
        when coalesce(archive_hours.is_stored, false) then 60
        -- A venue that requires per-symbol subscriptions was received for those subscribed to.
        when venue_hours.subscribed_symbols <> ''
            and ' ' || venue_hours.subscribed_symbols || ' ' not like '% ' || markets.symbol || ' %'
            then 0
        else coalesce(venue_hours.covered_minutes, 0)
    end as covered_minutes,
    coalesce(venue_hours.is_every_order, false) as is_every_order
from due_hours
inner join markets on due_hours.market_id = markets.market_id
left join archive_hours
    on due_hours.market_id = archive_hours.market_id and due_hours.hour_at = archive_hours.hour_at
left join venue_hours
    on due_hours.venue = venue_hours.venue and due_hours.hour_at = venue_hours.hour_at
