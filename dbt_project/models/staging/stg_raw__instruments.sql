-- One row per contract that a venue has ever reported, as it reported it last.
with reported_contracts as (
    select
        instruments.venue,
        instruments.symbol_name as symbol,
        {{ utc_timestamp('instruments.observed_at') }} as observed_at,
        nullif(instruments.base_asset, '') as base_asset,
        nullif(instruments.quote_asset, '') as quote_asset,
        nullif(instruments.contract_type, '') as contract_type,
        nullif(instruments.contract_size, 0) as contract_size,
        nullif(instruments.base_multiplier, 0) as base_multiplier,
        {{ utc_timestamp('instruments.listed_at') }} as listed_at,
        {{ utc_timestamp('instruments.delivers_at') }} as delivered_at,
        instruments.is_trading,
        row_number() over (
            partition by instruments.venue, instruments.symbol_name
            order by instruments.observed_at desc
        ) as reports_from_last
    from {{ raw_relation('instruments') }} as instruments
)

select
    venue || ':' || symbol as market_id,
    observed_at,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    base_multiplier,
    listed_at,
    delivered_at,
    is_trading
from reported_contracts
where reports_from_last = 1
