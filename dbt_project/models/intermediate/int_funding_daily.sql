-- One row per market and UTC day with a funding: the sum of the rates, which a long held all day paid, and how many
-- hours of the day the fundings are for. `conflict` has the figure of a rate that is none.
with conflicts as (
    select
        market_id,
        bar_date,
        -- Each begins with its time, so that the smallest of several is the first.
        min(cast(funded_at as string) || ' ' || conflict) as conflict
    from {{ ref('int_fundings') }}
    where conflict is not null
    group by market_id, bar_date
),

days as (
    select
        market_id,
        bar_date,
        cast(sum(funding_rate) as decimal(38,18)) as funding_rate
    from {{ ref('int_fundings') }}
    where conflict is null
    group by market_id, bar_date
)

-- A day on which every funding is in conflict has a row without a rate.
select
    coalesce(days.market_id, conflicts.market_id) as market_id,
    coalesce(days.bar_date, conflicts.bar_date) as bar_date,
    cast(
        case
            when days.market_id is null then 0
            else greatest(24 - coalesce(lost.lost_hours, 0), 0)
        end as bigint
    ) as covered_hours,
    days.funding_rate,
    conflicts.conflict
from days
full outer join conflicts
    on days.market_id = conflicts.market_id
    and days.bar_date = conflicts.bar_date
left join {{ ref('int_funding_lost_hours') }} as lost
    on days.market_id = lost.market_id
    and days.bar_date = lost.bar_date
order by market_id, bar_date
