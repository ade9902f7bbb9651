-- One row per market that the raw zone holds data of (requested by name, or received in the liquidations of its venue),
-- with its contract: the size as the venue reports it, else as the seed states it, else by the venue's convention.
with receipted as (
    -- Every receipt of a market has the same attributes; max() takes one. ALL stands for every symbol of a venue, and
    -- is no market.
    select
        market_id,
        max(venue) as venue,
        max(symbol) as symbol,
        max(base_asset) as base_asset,
        max(quote_asset) as quote_asset,
        max(contract_type) as contract_type,
        max(contract_size) as contract_size,
        max(base_multiplier) as base_multiplier,
        max(delivered_at) as delivered_at
    from {{ ref('stg_raw__receipts') }}
    where symbol <> 'ALL'
    group by market_id
),

received as (
    select
        market_id,
        max(venue) as venue,
        max(symbol) as symbol,
        max(base_asset) as base_asset,
        max(quote_asset) as quote_asset,
        max(contract_type) as contract_type,
        max(contract_size) as contract_size,
        max(base_multiplier) as base_multiplier
    from {{ ref('stg_raw__liquidation_events') }}
    group by market_id
),

named as (
    select market_id
    from receipted
    union
    select market_id
    from received
)

select
    named.market_id,
    coalesce(receipted.venue, received.venue) as venue,
    coalesce(receipted.symbol, received.symbol) as symbol,
    coalesce(receipted.base_asset, instruments.base_asset, received.base_asset) as base_asset,
    coalesce(receipted.quote_asset, instruments.quote_asset, received.quote_asset) as quote_asset,
    coalesce(receipted.contract_type, instruments.contract_type, received.contract_type) as contract_type,
    cast(
        coalesce(instruments.contract_size, seed.contract_size, receipted.contract_size, received.contract_size)
            as decimal(38,8)
    ) as contract_size,
    cast(
        coalesce(receipted.base_multiplier, instruments.base_multiplier, received.base_multiplier, 1) as bigint
    ) as base_multiplier,
    case
        when instruments.contract_size is not null then 'instruments'
        when seed.contract_size is not null then 'seed'
        when coalesce(receipted.contract_size, received.contract_size) is not null then 'convention'
        else 'unknown'
    end as contract_size_source,
    coalesce(instruments.listed_at, cast(seed.listed_on as timestamp)) as listed_at,
    coalesce(instruments.delivered_at, receipted.delivered_at) as delivered_at,
    receipted.market_id is not null as is_ingested,
    coalesce(receipted.venue, received.venue) = 'simulated' as is_simulated
from named
left join receipted on named.market_id = receipted.market_id
left join received on named.market_id = received.market_id
left join {{ ref('stg_raw__instruments') }} as instruments on named.market_id = instruments.market_id
left join {{ ref('markets') }} as seed on named.market_id = seed.market_id
order by market_id
