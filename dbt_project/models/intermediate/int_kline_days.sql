-- One row per market and day with klines, now or in the last build: which differ from what `int_kline_buckets` was
-- built from.
{%- set columns = [
    'bar_hours', 'bar_at', 'state', 'source', 'taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base',
    'open_price', 'high_price', 'low_price', 'close_price', 'trade_count', 'covered_minutes', 'is_contradicted',
] %}

with found as (
    select market_id, bar_date, row_count, row_hashes
    from {{ hashed_changed_days('int_flow_klines', columns, 'klines', 'int_judged_days') }} as hashed
)

select market_id, bar_date, row_count, row_hashes, is_changed, build_id
from {{ compared_days('klines') }} as compared
order by market_id, bar_date
