-- One row per aggregate and market that it is summed from: a base asset whose flow at least two venues give. Simulated
-- markets are summed apart. Derived from the receipts, since `dim_markets` names the aggregates before any bar is
-- built.
with flow_markets as (
    select
        market_id,
        max(venue) as venue,
        max(base_asset) as base_asset,
        {{ is_simulated('max(venue)') }} as is_simulated
    from {{ ref('stg_raw__receipts') }}
    where status = 'stored'
        and row_count > 0
        and dataset in ('klines', 'aggTrades', 'trades', 'restKlines', 'restTrades', 'liveTrades')
    group by market_id
),

shared_assets as (
    select is_simulated, base_asset
    from flow_markets
    group by is_simulated, base_asset
    having count(distinct venue) > 1
)

select
    {{ sum_of('parts.is_simulated') }} || ':' || parts.base_asset as market_id,
    {{ sum_of('parts.is_simulated') }} as venue,
    parts.base_asset,
    parts.is_simulated,
    parts.market_id as part_market_id
from flow_markets as parts
inner join shared_assets
    on parts.is_simulated = shared_assets.is_simulated and parts.base_asset = shared_assets.base_asset
order by market_id, part_market_id
