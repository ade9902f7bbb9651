-- One row per single trade.
select
    trades.venue || ':' || trades.symbol as market_id,
    trades.trade_id,
    {{ utc_timestamp('trades.traded_at') }} as traded_at,
    trades."date" as trade_date,
    trades.price,
    trades.quantity,
    cast(1 as bigint) as trade_count,
    not trades.is_buyer_maker as is_taker_buy
from {{ raw_relation('trades') }} as trades
