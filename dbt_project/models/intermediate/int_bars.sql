-- One row per market or aggregate over venues, grain and bar. Every mart of net taker volume, dominance and spikes
-- reads these.
{{ config(materialized='view') }}

{%- set columns = [
    'grain_hours', 'bar_at', 'bar_date', 'taker_buy_usd', 'taker_sell_usd', 'net_taker_usd', 'taker_buy_base',
    'taker_sell_base',
    'net_taker_base', 'volume_usd', 'volume_base', 'taker_sell_ratio', 'taker_buy_sell_ratio', 'open_price',
    'high_price', 'low_price',
    'close_price', 'trade_count', 'flow_source', 'source_bar_hours', 'coverage_ratio', 'is_provisional', 'is_running',
    'flow_quality',
] %}

select
    market_id,
    venue,
    venue as venue_set,
    {{ columns | join(',\n    ') }},
    cast(null as timestamp) as set_changed_at
from {{ ref('int_market_bars') }}
union all
select
    market_id,
    venue,
    venue_set,
    {{ columns | join(',\n    ') }},
    set_changed_at
from {{ ref('int_aggregate_bars') }}
