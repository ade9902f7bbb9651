-- One row per market, interval and bar; amounts still in the venue's units.
with stored_months as (
    select venue, symbol, kline_interval, period
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'klines' and status = 'stored'
)

select
    klines.venue || ':' || klines.symbol as market_id,
    klines."interval" as kline_interval,
    {{ utc_timestamp('klines.opened_at') }} as bar_at,
    cast({{ utc_timestamp('klines.opened_at') }} as date) as bar_date,
    klines.open_price,
    klines.high_price,
    klines.low_price,
    klines.close_price,
    klines.volume,
    klines.quote_volume,
    klines.taker_buy_volume,
    klines.taker_buy_quote_volume,
    klines.trade_count
from {{ raw_relation('klines') }} as klines
where exists (
    select 1
    from stored_months
    where stored_months.venue = klines.venue
        and stored_months.symbol = klines.symbol
        and stored_months.kline_interval = klines."interval"
        and stored_months.period = klines."month"
)
