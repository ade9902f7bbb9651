-- One row per market that the raw zone holds data of (requested by name, or received in the liquidations of its venue),
-- with its contract: the size as the venue reports it, else as the seed states it, else by the venue's convention.
with receipted_markets as (
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

received_markets as (
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

known_markets as (
    select market_id
    from receipted_markets
    union
    select market_id
    from received_markets
)

select
    known_markets.market_id,
    coalesce(receipted_markets.venue, received_markets.venue) as venue,
    coalesce(receipted_markets.symbol, received_markets.symbol) as symbol,
    coalesce(receipted_markets.base_asset, instruments.base_asset, received_markets.base_asset) as base_asset,
    coalesce(receipted_markets.quote_asset, instruments.quote_asset, received_markets.quote_asset) as quote_asset,
    coalesce(receipted_markets.contract_type, instruments.contract_type, received_markets.contract_type)
        as contract_type,
    cast(
        coalesce(
            instruments.contract_size,
            seed.contract_size,
            receipted_markets.contract_size,
            received_markets.contract_size
        ) as decimal(38,8)
    ) as contract_size,
    cast(
        coalesce(receipted_markets.base_multiplier, instruments.base_multiplier, received_markets.base_multiplier, 1)
            as bigint
    ) as base_multiplier,
    case
        when instruments.contract_size is not null then 'instruments'
        when seed.contract_size is not null then 'seed'
        when coalesce(receipted_markets.contract_size, received_markets.contract_size) is not null then 'convention'
        else 'unknown'
    end as contract_size_source,
    coalesce(instruments.listed_at, cast(seed.listed_on as timestamp)) as listed_at,
    coalesce(instruments.delivered_at, receipted_markets.delivered_at) as delivered_at,
    receipted_markets.market_id is not null as is_ingested,
    {{ is_simulated('coalesce(receipted_markets.venue, received_markets.venue)') }} as is_simulated
from known_markets
left join receipted_markets on known_markets.market_id = receipted_markets.market_id
left join received_markets on known_markets.market_id = received_markets.market_id
left join {{ ref('stg_raw__instruments') }} as instruments on known_markets.market_id = instruments.market_id
left join {{ ref('markets') }} as seed on known_markets.market_id = seed.market_id
order by market_id
