-- One row per market and day of which a file of trades is stored: what it sums to, what it lacks, and whether its
-- prices are far from those of the day's klines.
{{ config(materialized='ephemeral') }}

with stored_days as (
    select market_id, bar_date, id_gaps, duplicate_rows, zero_rows, out_of_order_rows
    from {{ ref('int_flow_receipts') }}
    where source = 'trades' and status = 'stored'
),

day_sums as (
    select
        market_id,
        bar_date,
        cast(sum(taker_buy_usd + taker_sell_usd) as decimal(38,8)) as volume_usd,
        cast(sum(taker_buy_usd - taker_sell_usd) as decimal(38,8)) as net_usd,
        sum(trade_count) as trade_count,
        min(bar_at) as first_bar_at,
        max(bar_at) as last_bar_at,
        {{ value_at_first('open_price', 'bar_at') }} as open_price,
        {{ value_at_last('close_price', 'bar_at') }} as close_price,
        max(high_price) as high_price,
        min(low_price) as low_price
    from {{ ref('int_flow_bars') }}
    where source = 'trades'
    group by market_id, bar_date
),

defects as (
    select
        market_id,
        bar_date,
        sum(case when kind = 'quarantined_rows' then row_count else 0 end) as quarantined_rows,
        max(case when kind = 'implausible' then reason end) as implausible_reason
    from {{ ref('int_flow_defects') }}
    where source = 'trades'
    group by market_id, bar_date
)

select
    stored_days.market_id,
    stored_days.bar_date,
    stored_days.id_gaps,
    stored_days.duplicate_rows,
    stored_days.zero_rows,
    stored_days.out_of_order_rows,
    coalesce(day_sums.volume_usd, 0) as volume_usd,
    coalesce(day_sums.net_usd, 0) as net_usd,
    coalesce(day_sums.trade_count, 0) as trade_count,
    day_sums.first_bar_at,
    day_sums.last_bar_at,
    day_sums.open_price,
    day_sums.close_price,
    coalesce(defects.quarantined_rows, 0) as quarantined_rows,
    defects.implausible_reason,
    klines.market_id is not null as has_klines,
    coalesce(
        {{ is_price_jump('day_sums.high_price', 'klines.high_price') }}
            or {{ is_price_jump('day_sums.low_price', 'klines.low_price') }},
        false
    ) as contradicts_klines
from stored_days
left join day_sums on stored_days.market_id = day_sums.market_id and stored_days.bar_date = day_sums.bar_date
left join defects on stored_days.market_id = defects.market_id and stored_days.bar_date = defects.bar_date
left join {{ ref('int_flow_kline_prices') }} as klines
    on stored_days.market_id = klines.market_id
    and stored_days.bar_date = klines.bar_date
