-- One row per market and UTC day with a funding: the sum of the rates, which a long held all day paid. The venue's
-- times jitter by milliseconds around the hour, so a funding belongs to the day half a minute later.
--
-- Whether one is missing follows from the time between fundings, not by a sum of labels: a funding's label states how
-- many hours it is for, so that the one before it lies no further back. The interval of a market may change from one
-- day to the next.
--
-- A rate beyond what any venue charges at one funding is no rate: that funding counts as missing, and `conflict` has
-- its figure. Below that nothing in the warehouse contradicts a rate: rates go to a venue's cap and back within one
-- interval, and each market's are its own.
with published_fundings as (
    select
        market_id,
        date_trunc('minute', calculated_at + interval '30' second) as funded_at,
        funding_interval_hours,
        funding_rate
    from {{ ref('stg_raw__funding_rates') }}
),

fundings as (
    select *
    from published_fundings
    where abs(funding_rate) <= {{ highest_funding_rate() }}
),

-- Each begins with its time, so that the smallest of several is the first.
conflicts as (
    select
        market_id,
        cast(funded_at as date) as trade_date,
        min(
            cast(funded_at as varchar) || ' funding rate ' || {{ figure_text('funding_rate') }}
            || ' is beyond the {{ highest_funding_rate() }} that no venue exceeds at one funding'
        ) as conflict
    from published_fundings
    where abs(funding_rate) > {{ highest_funding_rate() }}
    group by market_id, cast(funded_at as date)
),

timeline as (
    select
        fundings.*,
        cast(funded_at as date) as trade_date,
        lag(funded_at) over (partition by market_id order by funded_at) as previous_at,
        lead(funded_at) over (partition by market_id order by funded_at) as next_at
    from fundings
),

-- The hours on which a funding may have been lost: between two fundings; on the day of the first one before it; on the
-- day of the last one after it. Days without any funding have no row.
gaps as (
    select
        market_id,
        funded_at,
        funding_interval_hours,
        coalesce(previous_at, cast(trade_date as timestamp) - interval '1' hour) as from_at,
        funded_at as until_at
    from timeline
    union all
    select
        market_id,
        funded_at,
        funding_interval_hours,
        funded_at as from_at,
        cast(trade_date as timestamp) + interval '1' day as until_at
    from timeline
    where next_at is null
),

possible_fundings as (
    select
        gaps.*,
        {{ each_hour("date_trunc('hour', from_at)", "date_trunc('hour', until_at)") }}
            + (funded_at - date_trunc('hour', funded_at)) as hour_at
    from gaps
),

lost_hours_by_day as (
    select
        market_id,
        cast(hour_at as date) as trade_date,
        sum(funding_interval_hours) as lost_hours
    from possible_fundings
    where hour_at > from_at
        and hour_at < until_at
        and mod(abs({{ minutes_between('hour_at', 'funded_at') }}), funding_interval_hours * 60) = 0
    group by market_id, cast(hour_at as date)
),

days as (
    select
        market_id,
        trade_date,
        cast(sum(funding_rate) as decimal(38,18)) as funding_rate
    from timeline
    group by market_id, trade_date
)

-- A day on which every funding is in conflict has a row without a rate.
select
    coalesce(days.market_id, conflicts.market_id) as market_id,
    coalesce(days.trade_date, conflicts.trade_date) as trade_date,
    cast(
        case
            when days.market_id is null then 0
            else greatest(24 - coalesce(lost_hours_by_day.lost_hours, 0), 0)
        end as bigint
    ) as covered_hours,
    days.funding_rate,
    conflicts.conflict
from days
full outer join conflicts
    on days.market_id = conflicts.market_id
    and days.trade_date = conflicts.trade_date
left join lost_hours_by_day
    on days.market_id = lost_hours_by_day.market_id
    and days.trade_date = lost_hours_by_day.trade_date
order by market_id, trade_date
