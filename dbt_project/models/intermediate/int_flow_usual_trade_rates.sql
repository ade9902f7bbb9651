-- One row per market, bar length and day with an empty bar of the klines: how many trades an hour the market's smaller
-- bars count in the week before and after it. Its empty bars do not count here, so that a defect of days does not hide
-- itself.
{{ config(materialized='ephemeral') }}
{%- set least_bars = 3 %}
{%- set days_around = 7 %}

with klines as (
    select
        bars.market_id,
        bars.bar_hours,
        bars.bar_date,
        bars.trade_count,
        bars.taker_buy_usd + bars.taker_sell_usd as volume_usd
    from {{ ref('int_flow_bars') }} as bars
    where bars.source = 'klines'
),

empty_days as (
    select distinct market_id, bar_hours, bar_date
    from klines
    where volume_usd = 0 and {{ is_of_changed_day('klines', 'int_judged_days', 'int_flow_klines') }}
)

select
    empty_days.market_id,
    empty_days.bar_hours,
    empty_days.bar_date,
    percentile_disc(0.1) within group (order by klines.trade_count) / empty_days.bar_hours as trades_an_hour
from empty_days
inner join klines
    on empty_days.market_id = klines.market_id
    and empty_days.bar_hours = klines.bar_hours
    and klines.bar_date >= empty_days.bar_date - interval '{{ days_around }}' day
    and klines.bar_date <= empty_days.bar_date + interval '{{ days_around }}' day
where klines.volume_usd > 0
group by empty_days.market_id, empty_days.bar_hours, empty_days.bar_date
having count(*) >= {{ least_bars }}
