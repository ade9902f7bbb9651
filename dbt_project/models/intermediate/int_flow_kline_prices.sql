-- One row per market and day with klines that hold volume: their prices.
{{ config(materialized='ephemeral') }}

select
    market_id,
    bar_date,
    {{ value_at_first('open_price', 'bar_at') }} as open_price,
    {{ value_at_last('close_price', 'bar_at') }} as close_price,
    max(high_price) as high_price,
    min(low_price) as low_price
from {{ ref('int_flow_bars') }}
where source = 'klines' and taker_buy_usd + taker_sell_usd > 0
group by market_id, bar_date
