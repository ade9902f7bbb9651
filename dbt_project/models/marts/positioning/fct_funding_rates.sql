-- One row per market and funding: the rate that longs paid shorts, the same over a year, and the sum since the market's
-- first. A rate in conflict is none, and counts as a missing funding.
{%- set annual_hours = 8760 %}

with fundings as (
    select
        fundings.market_id,
        markets.venue,
        markets.base_asset,
        fundings.funded_at,
        fundings.bar_date,
        fundings.funding_interval_hours,
        -- No rate without a conflict reaches 1.
        cast(case when fundings.conflict is null then fundings.funding_rate end as decimal(19,18)) as funding_rate,
        max(case when fundings.conflict is null then fundings.funded_at end) over (
            partition by fundings.market_id
            order by fundings.funded_at
            rows between unbounded preceding and 1 preceding
        ) as previous_at,
        fundings.conflict
    from {{ ref('int_fundings') }} as fundings
    inner join {{ ref('int_markets') }} as markets on fundings.market_id = markets.market_id
),

fundings_with_gaps as (
    select
        fundings.*,
        -- Shifted by ten places: the quotient takes both sides at eight decimals, and a rate has eighteen.
        {{ exact_quotient(
            'funding_rate * cast(' ~ annual_hours * 10000000000 ~ ' as decimal(15,0))',
            'funding_interval_hours * 10000000000'
        ) }} as annualised_rate,
        case
            when funding_rate is null then 0
            else greatest(
                floor({{ minutes_between('coalesce(previous_at, funded_at)', 'funded_at') }} / 60.0)
                - funding_interval_hours, 0
            )
        end as missing_hours
    from fundings
)

select
    market_id,
    venue,
    base_asset,
    funded_at,
    bar_date,
    cast(funding_interval_hours as bigint) as funding_interval_hours,
    cast(funding_rate as decimal(38,18)) as funding_rate,
    cast(annualised_rate as decimal(38,16)) as annualised_rate,
    cast(sum(funding_rate) over until_here as decimal(38,18)) as cumulative_rate,
    cast(missing_hours as bigint) as missing_hours,
    cast(sum(missing_hours) over until_here as bigint) as cumulative_missing_hours,
    conflict is not null as is_in_conflict,
    conflict
from fundings_with_gaps
window
    until_here as (
        partition by market_id
        order by funded_at
        rows between unbounded preceding and current row
    )
order by market_id, funded_at
