-- One row per market and UTC day on which fundings are missing, and the hours that they are for.
--
-- Whether one is missing follows from the time between fundings, not by a sum of labels: a funding's label states how
-- many hours it is for, so that the one before it lies no further back. The interval of a market may change from one
-- day to the next. A funding in conflict counts as missing.
{{ config(materialized='ephemeral') }}

with timeline as (
    select
        market_id,
        funded_at,
        bar_date,
        funding_interval_hours,
        lag(funded_at) over (partition by market_id order by funded_at) as previous_at,
        lead(funded_at) over (partition by market_id order by funded_at) as next_at
    from {{ ref('int_fundings') }}
    where conflict is null
),

-- The hours on which a funding may have been lost: between two fundings; on the day of the first one before it; on the
-- day of the last one after it. Days without any funding have no row.
gaps as (
    select
        market_id,
        funded_at,
        funding_interval_hours,
        coalesce(previous_at, cast(bar_date as timestamp) - interval '1' hour) as from_at,
        funded_at as until_at
    from timeline
    union all
    select
        market_id,
        funded_at,
        funding_interval_hours,
        funded_at as from_at,
        cast(bar_date as timestamp) + interval '1' day as until_at
    from timeline
    where next_at is null
),

possible_fundings as (
    select
        gaps.*,
        {{ each_hour(
            "date_trunc('hour', from_at)", "date_trunc('hour', until_at)", "(funded_at - date_trunc('hour', funded_at))"
        ) }} as hour_at
    from gaps
)

select
    market_id,
    cast(hour_at as date) as bar_date,
    sum(funding_interval_hours) as lost_hours
from possible_fundings
where hour_at > from_at
    and hour_at < until_at
    and mod(abs({{ minutes_between('hour_at', 'funded_at') }}), funding_interval_hours * 60) = 0
group by market_id, cast(hour_at as date)
