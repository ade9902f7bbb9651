-- One row per contract that a venue ever told of, as it told of it last.
with stored_days as (
    select venue, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'instruments' and symbol = 'ALL' and status = 'stored'
),

told as (
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
        ) as times_from_last
    from {{ raw_relation('instruments') }} as instruments
    where exists (
        select 1
        from stored_days
        where stored_days.venue = instruments.venue and stored_days.trade_date = instruments."date"
    )
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
from told
where times_from_last = 1
