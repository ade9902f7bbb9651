-- One row per market, and per sum over venues. A sum over venues is no contract: its amounts are base and USD already.
with sums as (
    select
        market_id,
        venue,
        base_asset,
        is_simulated,
        {{ sorted_list('part_market_id') }} as part_market_ids
    from {{ ref('int_aggregate_markets') }}
    group by market_id, venue, base_asset, is_simulated
)

select
    market_id,
    venue,
    symbol,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    base_multiplier,
    contract_size_source,
    listed_at,
    delivered_at,
    is_ingested,
    is_simulated,
    false as is_aggregate,
    cast(null as string) as part_market_ids
from {{ ref('int_markets') }}
union all
select
    market_id,
    venue,
    base_asset as symbol,
    base_asset,
    'USD' as quote_asset,
    'aggregate' as contract_type,
    cast(1 as decimal(38,8)) as contract_size,
    cast(1 as bigint) as base_multiplier,
    'convention' as contract_size_source,
    cast(null as timestamp) as listed_at,
    cast(null as timestamp) as delivered_at,
    true as is_ingested,
    is_simulated,
    true as is_aggregate,
    part_market_ids
from sums
order by market_id
