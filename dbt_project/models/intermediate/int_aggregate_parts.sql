-- One row per aggregate over venues, grain, bar and market that is summed: the market's bar, how many markets are due
-- in the sum, and which of them gives the prices.
{{ config(materialized='ephemeral') }}

with part_bars as (
    select
        aggregates.market_id as aggregate_id,
        aggregates.venue as aggregate_venue,
        bars.*
    from {{ ref('int_aggregate_markets') }} as aggregates
    inner join {{ ref('int_market_bars') }} as bars on aggregates.part_market_id = bars.market_id
),

-- A market is due from its first to its last bar: one that lacks a bar in between covers nothing of it.
market_spans as (
    select
        aggregate_id,
        market_id,
        grain_hours,
        min(bar_at) as first_bar_at,
        max(bar_at) as last_bar_at
    from part_bars
    group by aggregate_id, market_id, grain_hours
),

markets_due as (
    select
        bars.aggregate_id,
        bars.grain_hours,
        bars.bar_at,
        count(*) as markets_due
    from (select distinct aggregate_id, grain_hours, bar_at from part_bars) as bars
    inner join market_spans
        on bars.aggregate_id = market_spans.aggregate_id
        and bars.grain_hours = market_spans.grain_hours
        and bars.bar_at between market_spans.first_bar_at and market_spans.last_bar_at
    group by bars.aggregate_id, bars.grain_hours, bars.bar_at
),

-- One market gives the prices, so that they are those of one contract: the one with most volume, and where it has no
-- bar the largest of the bar.
price_markets as (
    select
        aggregate_id,
        market_id,
        row_number() over (partition by aggregate_id order by sum(volume_usd) desc, market_id) as place
    from part_bars
    where grain_hours = 24
    group by aggregate_id, market_id
)

select
    part_bars.*,
    due.markets_due,
    row_number() over (
        partition by part_bars.aggregate_id, part_bars.grain_hours, part_bars.bar_at
        order by
            case when price_markets.place = 1 then 0 else 1 end,
            part_bars.volume_usd desc,
            part_bars.market_id
    ) as price_choice
from part_bars
inner join markets_due as due
    on part_bars.aggregate_id = due.aggregate_id and part_bars.grain_hours = due.grain_hours
    and part_bars.bar_at = due.bar_at
left join price_markets
    on part_bars.aggregate_id = price_markets.aggregate_id and part_bars.market_id = price_markets.market_id
