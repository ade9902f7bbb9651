-- One row per market and hour, in parts (see macros/liquidations.sql). An ingested market has every hour that its venue
-- was collected, and every hour of the days that its archive was requested for. A market that was only received has the
-- hours of its orders and the 23 before and after each: venues have hundreds of symbols, and a day or rolling day with
-- an order in it needs no more.
-- Long, since it begins with three ways in which an hour is due: the feed's, the archive's and an order's.
--
-- The minute of an order in conflict is not covered. Nothing is covered of an hour whose orders of one side are worth
-- more than the takers of that side traded, or of a day on which more than half of the orders are in conflict.
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
        {{ each_hour("trade_date", "cast(trade_date as timestamp) + interval '23' hour") }} as hour_at
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot'
),

order_totals as (
    select
        market_id,
        hour_at,
        sum(case when is_long_liquidated then liquidated_usd else 0 end) as long_usd,
        sum(case when is_long_liquidated then 0 else liquidated_usd end) as short_usd,
        count(*) as order_count,
        count(*) - count(liquidated_usd) as unvalued_order_count,
        max(liquidated_usd) as largest_order_usd,
        count(conflict) as conflicting_order_count,
        count(distinct case when conflict is not null then date_trunc('minute', liquidated_at) end)
            as conflicting_minutes,
        min(conflict) as first_conflict,
        {%- for side, is_side in {'SELL': 'is_long_liquidated', 'BUY': 'not is_long_liquidated'}.items() %}
        sum(case when {{ is_side }} and side_usd is not null then cast(liquidated_usd as double) end)
            as "{{ side }}_usd",
        max(case when {{ is_side }} then side_usd end) as "{{ side }}_taker_usd"
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_liquidation_orders') }}
    group by market_id, hour_at
),

order_hours as (
    select
        order_totals.*,
        case
            {%- for side in ['SELL', 'BUY'] %}
            when "{{ side }}_usd" > "{{ side }}_taker_usd"
                then cast(hour_at as varchar) || ' ' || market_id || ' all {{ side }} orders of the hour are worth '
                    || {{ figure_text('"' ~ side ~ '_usd"') }} || ' USD, takers of that side traded '
                    || {{ figure_text('"' ~ side ~ '_taker_usd"') }} || ' USD'
            {%- endfor %}
        end as hour_conflict,
        2 * sum(conflicting_order_count) over day_of_market > sum(order_count) over day_of_market as is_day_in_conflict
    from order_totals
    window day_of_market as (partition by market_id, cast(hour_at as date))
),

days_in_conflict as (
    select distinct market_id, cast(hour_at as date) as trade_date
    from order_hours
    where is_day_in_conflict
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
    from order_hours
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
),

received_hours as (
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
    from received_hours
    left join order_hours
        on received_hours.market_id = order_hours.market_id and received_hours.hour_at = order_hours.hour_at
    left join days_in_conflict
        on received_hours.market_id = days_in_conflict.market_id
        and cast(received_hours.hour_at as date) = days_in_conflict.trade_date
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
inner join markets on sourced_hours.market_id = markets.market_id
left join order_hours on sourced_hours.market_id = order_hours.market_id and sourced_hours.hour_at = order_hours.hour_at
order by sourced_hours.market_id, sourced_hours.hour_at
