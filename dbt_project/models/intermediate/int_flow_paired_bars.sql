-- One row per bar that the archive's trades and klines both hold, of each length that the day has klines of: the
-- figures of both, and how far they may be apart. Of implausible trades there are none.
{{ config(materialized='ephemeral') }}

-- Amounts are added as decimals: a sum of doubles depends on the order of its parts, which no engine promises.
with klines as (
    select * from {{ archive_bars() }} as archive_bars
    where source = 'klines'
),

hours as (
    select
        market_id,
        bar_date,
        bar_at,
        taker_buy_usd + taker_sell_usd as volume_usd,
        taker_buy_base + taker_sell_base as volume_base,
        taker_buy_usd - taker_sell_usd as net_usd,
        {%- for column in ['open_price', 'high_price', 'low_price', 'close_price'] %}
        {{ exact_as_double(column, 18) }} as {{ column }},
        {%- endfor %}
        trade_count
    from {{ ref('int_flow_bars') }}
    where source = 'trades'
),

trade_days as (
    select market_id, bar_date
    from {{ ref('int_flow_trade_days') }}
    where implausible_reason is null
),

kline_days as (
    select
        bars.market_id,
        bars.bar_date,
        bars.bar_hours,
        {{ exact_as_double('sum(bars.taker_buy_usd + bars.taker_sell_usd)', 16) }} as volume_usd,
        {{ exact_as_double('sum(bars.taker_buy_base + bars.taker_sell_base)', 16) }} as volume_base
    from {{ ref('int_flow_bars') }} as bars
    inner join trade_days on bars.market_id = trade_days.market_id and bars.bar_date = trade_days.bar_date
    where bars.source = 'klines'
    group by bars.market_id, bars.bar_date, bars.bar_hours
),

trade_bars as (
    select
        hours.market_id,
        hours.bar_date,
        days.bar_hours,
        {{ bar_start('hours.bar_at', 'days.bar_hours') }} as bar_at,
        {{ exact_as_double('sum(hours.volume_usd)', 16) }} as volume_usd,
        {{ exact_as_double('sum(hours.volume_base)', 16) }} as volume_base,
        {{ exact_as_double('sum(hours.net_usd)', 16) }} as net_usd,
        {{ value_at_first('hours.open_price', 'hours.bar_at') }} as open_price,
        max(hours.high_price) as high_price,
        min(hours.low_price) as low_price,
        {{ value_at_last('hours.close_price', 'hours.bar_at') }} as close_price,
        sum(hours.trade_count) as trade_count,
        max(days.volume_usd) as day_volume_usd,
        max(days.volume_base) as day_volume_base
    from hours
    inner join kline_days as days on hours.market_id = days.market_id and hours.bar_date = days.bar_date
    group by hours.market_id, hours.bar_date, days.bar_hours, {{ bar_start('hours.bar_at', 'days.bar_hours') }}
)

select
    trades.market_id,
    trades.bar_date,
    trades.bar_hours,
    trades.bar_at,
    {%- for column in [
        'volume_usd', 'volume_base', 'net_usd', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count',
    ] %}
    trades.{{ column }},
    klines.{{ column }} as klines_{{ column }},
    {%- endfor %}
    {%- for unit in ['usd', 'base'] %}
    greatest(
        {{ bar_amount_tolerance() }} * klines.volume_{{ unit }},
        {{ day_amount_tolerance() }} * trades.day_volume_{{ unit }}
    ) as tolerance_{{ unit }}{{ ',' if not loop.last }}
    {%- endfor %}
from trade_bars as trades
inner join klines
    on trades.market_id = klines.market_id and trades.bar_hours = klines.bar_hours and trades.bar_at = klines.bar_at
-- A bar without volume is judged where its neighbours are known (`int_flow_klines`).
where klines.volume_usd > 0
    and greatest(trades.trade_count, klines.trade_count) >= {{ fewest_trades_to_compare() }} * klines.bar_hours
