-- One row per market, interval and finished bar of the last days, from the venue's api; amounts still in the venue's units.
with stored_days as (
    select venue, symbol, kline_interval, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'restKlines' and status = 'stored'
)

select
    klines.venue || ':' || klines.symbol as market_id,
    klines."interval" as kline_interval,
    {{ utc_timestamp('klines.opened_at') }} as bar_at,
    klines."date" as bar_date,
    klines.open_price,
    klines.high_price,
    klines.low_price,
    klines.close_price,
    klines.volume,
    klines.quote_volume,
    klines.taker_buy_volume,
    klines.taker_buy_quote_volume,
    klines.trade_count
from {{ raw_relation('restKlines') }} as klines
where exists (
    select 1
    from stored_days
    where stored_days.venue = klines.venue
        and stored_days.symbol = klines.symbol
        and stored_days.kline_interval = klines."interval"
        and stored_days.trade_date = klines."date"
)
