-- One row per market that the raw zone holds something of (asked for by name, or heard in the liquidations of its venue), and per sum
-- over venues.
with receipted as (
    -- The attributes hang on the market; max() only says so to the engine. ALL is a venue's every symbol, and no market.
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

heard as (
    select
        market_id,
        max(venue) as venue,
        max(symbol) as symbol,
        max(base_asset) as base_asset,
        max(quote_asset) as quote_asset,
        max(contract_type) as contract_type,
        max(contract_size) as contract_size,
        max(base_multiplier) as base_multiplier
    from {{ ref('stg_raw__collected_liquidations') }}
    group by market_id
),

named as (
    select market_id
    from receipted
    union
    select market_id
    from heard
),

markets as (
    select
        named.market_id,
        coalesce(receipted.venue, heard.venue) as venue,
        coalesce(receipted.symbol, heard.symbol) as symbol,
        coalesce(receipted.base_asset, instruments.base_asset, heard.base_asset) as base_asset,
        coalesce(receipted.quote_asset, instruments.quote_asset, heard.quote_asset) as quote_asset,
        coalesce(receipted.contract_type, instruments.contract_type, heard.contract_type) as contract_type,
        cast(
            coalesce(instruments.contract_size, seed.contract_size, receipted.contract_size, heard.contract_size) as decimal(38,8)
        ) as contract_size,
        cast(
            coalesce(receipted.base_multiplier, instruments.base_multiplier, heard.base_multiplier, 1) as bigint
        ) as base_multiplier,
        case
            when instruments.contract_size is not null then 'instruments'
            when seed.contract_size is not null then 'seed'
            when coalesce(receipted.contract_size, heard.contract_size) is not null then 'convention'
            else 'unknown'
        end as contract_size_source,
        coalesce(instruments.listed_at, cast(seed.listed_on as timestamp)) as listed_at,
        coalesce(instruments.delivered_at, receipted.delivered_at) as delivered_at,
        receipted.market_id is not null as is_ingested,
        coalesce(receipted.venue, heard.venue) = 'simulated' as is_simulated
    from named
    left join receipted on named.market_id = receipted.market_id
    left join heard on named.market_id = heard.market_id
    left join {{ ref('stg_raw__instruments') }} as instruments on named.market_id = instruments.market_id
    left join {{ ref('markets') }} as seed on named.market_id = seed.market_id
),

-- A sum over venues is no contract: its amounts are base and USD already.
aggregates as (
    select distinct
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
        is_simulated
    from {{ ref('int_aggregate_markets') }}
)

select * from markets
union all
select * from aggregates
order by market_id
