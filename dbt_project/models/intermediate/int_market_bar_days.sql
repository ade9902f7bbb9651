-- One row per market and day, now or in the last build: which differ in anything that `int_market_bars` is made of.
-- What follows from the klines of a day, their buckets and doubtful bars, is compared as these klines.
{%- set bars = [
    'source', 'source_bar_hours', 'grain_hours', 'bar_at', 'taker_buy_usd', 'taker_sell_usd', 'taker_buy_base',
    'taker_sell_base', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count', 'covered_minutes',
    'coverage_ratio',
] %}

with parts as (
    select * from {{ hashed_days('int_trade_buckets', bars) }} as hashed
    union all
    select market_id, bar_date, row_count, row_hashes
    from {{ ref('int_kline_days') }}
    where row_count is not null
    union all
    select * from {{ hashed_days('int_recent_buckets', bars + ['is_running']) }} as hashed
    union all
    select * from {{ hashed_days('int_flow_days', ['quality', 'kline_bar_hours']) }} as hashed
    union all
    select * from {{ hashed_days('int_flow_defects', ['hour_at'], "kind = 'quarantined_rows'") }} as hashed
    union all
    select * from {{ hashed_days('int_flow_contradictions', ['bar_hours', 'bar_at']) }} as hashed
),

found as (
    select market_id, bar_date, sum(row_count) as row_count, sum(row_hashes) as row_hashes
    from parts
    group by market_id, bar_date
)

select market_id, bar_date, row_count, row_hashes, is_changed, build_id
from {{ compared_days('market_bars') }} as compared
order by market_id, bar_date
