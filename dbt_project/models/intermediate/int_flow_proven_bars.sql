-- One row per market, bar length that the day has klines of, and bar: what the archive's trades prove of it.
--
-- Trades prove an hour when their file is whole (no id missing, no row set aside, plausible) and holds trades before
-- and after it; of the first and the last hour of the file they prove the minutes that saw one.
{{ config(materialized='ephemeral') }}

with lengths as (
    -- Trades fill the lengths that the day has klines of, and no others.
    select distinct market_id, bar_date, bar_hours
    from {{ ref('int_flow_bars') }}
    where source = 'klines'
),

trade_days as (
    select
        days.market_id,
        days.bar_date,
        days.is_whole,
        days.first_bar_at,
        days.last_bar_at,
        {{ each_hour('days.first_bar_at', 'days.last_bar_at') }} as bar_at
    from {{ ref('int_flow_trade_days') }} as days
    where days.implausible_reason is null and days.first_bar_at is not null
        and {{ is_of_changed_day('days', 'int_judged_days', 'int_flow_klines') }}
),

-- Between the first and the last trade of a whole file nothing is missing: its quiet hours are quiet.
trade_hours as (
    select
        days.market_id,
        days.bar_date,
        days.bar_at,
        days.is_whole,
        coalesce(bars.taker_buy_usd, 0) as taker_buy_usd,
        coalesce(bars.taker_sell_usd, 0) as taker_sell_usd,
        coalesce(bars.taker_buy_base, 0) as taker_buy_base,
        coalesce(bars.taker_sell_base, 0) as taker_sell_base,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        coalesce(bars.trade_count, 0) as trade_count,
        case
            when days.is_whole and days.bar_at > days.first_bar_at and days.bar_at < days.last_bar_at then 60
            else coalesce(bars.covered_minutes, 0)
        end as proven_minutes
    from trade_days as days
    left join {{ ref('int_flow_bars') }} as bars
        on days.market_id = bars.market_id and days.bar_at = bars.bar_at and bars.source = 'trades'
)

select
    hours.market_id,
    hours.bar_date,
    lengths.bar_hours,
    {{ bar_start('hours.bar_at', 'lengths.bar_hours') }} as bar_at,
    sum(hours.taker_buy_usd) as taker_buy_usd,
    sum(hours.taker_sell_usd) as taker_sell_usd,
    sum(hours.taker_buy_base) as taker_buy_base,
    sum(hours.taker_sell_base) as taker_sell_base,
    sum(hours.taker_buy_usd + hours.taker_sell_usd) as volume_usd,
    {{ value_at_first('hours.open_price', 'hours.bar_at') }} as open_price,
    max(hours.high_price) as high_price,
    min(hours.low_price) as low_price,
    {{ value_at_last('hours.close_price', 'hours.bar_at') }} as close_price,
    sum(hours.trade_count) as trade_count,
    sum(hours.proven_minutes) as proven_minutes,
    max(case when hours.is_whole then 1 else 0 end) = 1 as is_whole
from trade_hours as hours
inner join lengths on hours.market_id = lengths.market_id and hours.bar_date = lengths.bar_date
group by hours.market_id, hours.bar_date, lengths.bar_hours, {{ bar_start('hours.bar_at', 'lengths.bar_hours') }}
