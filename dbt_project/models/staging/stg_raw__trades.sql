-- One row per trade, or aggregate of trades, of the configured dataset. Both are read through `source`, so that lineage names both.
with agg_trades as (
    select
        venue,
        symbol,
        "date" as trade_date,
        agg_trade_id as trade_id,
        traded_at,
        price,
        quantity,
        last_trade_id - first_trade_id + 1 as trade_count,
        is_buyer_maker
    from {{ raw_relation('aggTrades') }}
),

single_trades as (
    select
        venue,
        symbol,
        "date" as trade_date,
        trade_id,
        traded_at,
        price,
        quantity,
        cast(1 as bigint) as trade_count,
        is_buyer_maker
    from {{ raw_relation('trades') }}
),

stored_days as (
    select venue, symbol, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = '{{ trades_dataset() }}' and status = 'stored'
)

select
    trades.venue || ':' || trades.symbol as market_id,
    trades.trade_id,
    {{ utc_timestamp('trades.traded_at') }} as traded_at,
    trades.trade_date,
    trades.price,
    trades.quantity,
    trades.trade_count,
    not trades.is_buyer_maker as is_taker_buy
from {{ 'agg_trades' if trades_dataset() == 'aggTrades' else 'single_trades' }} as trades
where exists (
    select 1
    from stored_days
    where stored_days.venue = trades.venue
        and stored_days.symbol = trades.symbol
        and stored_days.trade_date = trades.trade_date
)
