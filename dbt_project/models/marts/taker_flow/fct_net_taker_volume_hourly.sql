-- One row per market, or aggregate over venues, and hour. Days that `int_bar_days` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_bar_days', 'keys': ['market_id'], 'day_of': 'bar_at'}},
) }}

select
    market_id,
    venue,
    venue_set,
    bar_at,
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_usd,
    volume_base,
    {{ exact_as_double('taker_sell_ratio', 16) }} as taker_sell_ratio,
    {{ exact_as_double('taker_buy_sell_ratio', 16) }} as taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    flow_source,
    cast(coverage_ratio as double) as coverage_ratio,
    is_provisional,
    is_running,
    flow_quality
from {{ ref('int_bars') }} as bars
where grain_hours = 1 and {{ is_of_changed_day('bars', 'int_bar_days') }}
order by market_id, bar_at
