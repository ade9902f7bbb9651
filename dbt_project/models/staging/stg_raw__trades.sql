-- One row per trade, or aggregate of trades: of the configured dataset, or of the other one where a market has only that.
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
    select venue, symbol, trade_date, dataset
    from {{ trades_receipts() }} as receipts
    where status = 'stored'
),

-- Each dataset against its own days: an engine leaves the files of one without days closed.
trades as (
    {%- for dataset, rows in [('aggTrades', 'agg_trades'), ('trades', 'single_trades')] %}
    select {{ rows }}.*
    from {{ rows }}
    where exists (
        select 1
        from stored_days
        where stored_days.dataset = '{{ dataset }}'
            and stored_days.venue = {{ rows }}.venue
            and stored_days.symbol = {{ rows }}.symbol
            and stored_days.trade_date = {{ rows }}.trade_date
    )
    {{- ' union all' if not loop.last }}
    {%- endfor %}
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
from trades
