-- One row per market, or aggregate over venues, and UTC day.
select
    market_id,
    venue,
    venue_set,
    bar_date as trade_date,
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
    source_bar_hours,
    cast(coverage_ratio as double) as coverage_ratio,
    is_provisional,
    is_running,
    flow_quality
from {{ ref('int_bars') }}
where grain_hours = 24
order by market_id, bar_at
