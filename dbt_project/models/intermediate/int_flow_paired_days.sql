-- One row per market and day with a file of trades or klines: what both sum to, side by side. A stored file without a
-- single trade is a statement too: nothing was traded.
{{ config(materialized='ephemeral') }}

with kline_days as (
    select *
    from {{ ref('int_flow_kline_choices') }}
    where choice = 1
),

trade_days as (
    select *
    from {{ ref('int_flow_trade_days') }} as days
    where {{ is_of_changed_day('days', 'int_judged_days', 'int_flow_days') }}
)

select
    coalesce(trades.market_id, klines.market_id) as market_id,
    coalesce(trades.bar_date, klines.bar_date) as bar_date,
    trades.volume_usd as trades_volume_usd,
    trades.net_usd as trades_net_usd,
    klines.volume_usd as klines_volume_usd,
    klines.net_usd as klines_net_usd,
    trades.volume_usd - klines.volume_usd as difference_usd,
    trades.net_usd - klines.net_usd as net_difference_usd,
    klines.volume_usd * 0.0001 as tolerance_usd,
    abs(trades.volume_usd - klines.judged_volume_usd) <= klines.judged_volume_usd * 0.0001
    and abs(trades.net_usd - klines.judged_net_usd) <= klines.judged_volume_usd * 0.0001 as agree_as_judged,
    trades.id_gaps as agg_id_gaps,
    trades.duplicate_rows,
    trades.zero_rows,
    trades.out_of_order_rows,
    trades.implausible_reason,
    klines.bar_hours as kline_bar_hours,
    klines.published_coverage_ratio,
    klines.kline_coverage_ratio,
    coalesce(klines.replaced_bars, 0) as replaced_bars,
    coalesce(klines.doubtful_bars, 0) as doubtful_bars,
    coalesce(klines.empty_bars, 0) as empty_bars
from trade_days as trades
full outer join kline_days as klines
    on trades.market_id = klines.market_id and trades.bar_date = klines.bar_date
