-- One row per market trade of the last days, from the venue's API.
select
    trades.venue || ':' || trades.symbol as market_id,
    trades.trade_id,
    trades.trade_number,
    {{ utc_timestamp('trades.traded_at') }} as traded_at,
    trades."date" as bar_date,
    trades.price,
    trades.quantity,
    trades.trade_count,
    trades.is_taker_buy
from {{ recent_trades('restTrades') }} as trades
