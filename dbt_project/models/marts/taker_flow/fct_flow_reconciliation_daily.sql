-- One row per market and UTC day that any source covers: do the sources agree?
select
    market_id,
    bar_date as trade_date,
    trades_volume_usd,
    klines_volume_usd,
    difference_usd,
    trades_net_usd,
    klines_net_usd,
    agg_id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    verdict,
    {{ bar_interval('kline_bar_hours') }} as kline_interval,
    cast(kline_coverage_ratio as double) as kline_coverage_ratio,
    {{ bar_interval('coarser_bar_hours') }} as coarser_interval,
    coarser_volume_usd,
    interval_difference_usd,
    interval_verdict
from {{ ref('int_flow_days') }}
order by market_id, bar_date
