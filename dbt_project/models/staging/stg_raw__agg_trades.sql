-- One row per aggregate: the trades of one taker order at one price within 100 ms.
select
    trades.venue || ':' || trades.symbol as market_id,
    trades.agg_trade_id as trade_id,
    {{ utc_timestamp('trades.traded_at') }} as traded_at,
    trades."date" as trade_date,
    trades.price,
    trades.quantity,
    trades.last_trade_id - trades.first_trade_id + 1 as trade_count,
    not trades.is_buyer_maker as is_taker_buy
from {{ raw_relation('aggTrades') }} as trades
