-- One row per market the raw zone holds, and per aggregate over venues.
with receipted as (
    -- The attributes hang on the market; max() only says so to the engine.
    select
        market_id,
        max(venue) as venue,
        max(symbol) as symbol,
        max(base_asset) as base_asset,
        max(quote_asset) as quote_asset,
        max(contract_type) as contract_type,
        max(contract_size) as contract_size
    from {{ ref('stg_raw__receipts') }}
    group by market_id
),

markets as (
    select
        receipted.market_id,
        receipted.venue,
        receipted.symbol,
        receipted.base_asset,
        receipted.quote_asset,
        receipted.contract_type,
        cast(coalesce(overrides.contract_size, receipted.contract_size) as decimal(18,8)) as contract_size,
        receipted.venue = 'simulated' as is_simulated
    from receipted
    left join {{ ref('markets') }} as overrides on receipted.market_id = overrides.market_id
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
        cast(1 as decimal(18,8)) as contract_size,
        is_simulated
    from {{ ref('int_aggregate_markets') }}
)

select * from markets
union all
select * from aggregates
order by market_id
