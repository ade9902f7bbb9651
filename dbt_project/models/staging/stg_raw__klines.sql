-- One row per market, interval and bar; amounts still in the venue's units.
select
    klines.venue || ':' || klines.symbol as market_id,
    klines."interval" as kline_interval,
    {{ utc_timestamp('klines.opened_at') }} as bar_at,
    cast({{ utc_timestamp('klines.opened_at') }} as date) as bar_date,
    {{ utc_timestamp('klines.closed_at') }} as closes_at,
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
