-- One row per market, day and length of its klines: what they sum to as published, and as `int_flow_klines` judges
-- them. The day is taken from the first choice: the klines that cover most of it, of these the finest.
{{ config(materialized='ephemeral') }}

with published_klines as (
    select
        market_id,
        bar_date,
        bar_hours,
        cast(sum(taker_buy_usd + taker_sell_usd) as decimal(38,8)) as volume_usd,
        cast(sum(taker_buy_usd - taker_sell_usd) as decimal(38,8)) as net_usd,
        {{ share('sum(covered_minutes)', 1440) }} as published_coverage_ratio
    from {{ ref('int_flow_bars') }} as bars
    where source = 'klines' and {{ is_of_changed_day('bars', 'int_judged_days', 'int_flow_days') }}
    group by market_id, bar_date, bar_hours
),

judged_klines as (
    select
        market_id,
        bar_date,
        bar_hours,
        cast(sum(case when state <> 'doubtful' then taker_buy_usd + taker_sell_usd else 0 end) as decimal(38,8))
            as volume_usd,
        cast(sum(case when state <> 'doubtful' then taker_buy_usd - taker_sell_usd else 0 end) as decimal(38,8))
            as net_usd,
        {{ share('sum(covered_minutes)', 1440) }} as coverage_ratio,
        {{ share("sum(case when state = 'published' then covered_minutes else 0 end)", 1440) }} as kline_coverage_ratio,
        sum(case when state in ('replaced', 'filled') then 1 else 0 end) as replaced_bars,
        sum(case when state = 'doubtful' then 1 else 0 end) as doubtful_bars,
        sum(case when state = 'doubtful' and is_contradicted is not true then 1 else 0 end) as empty_bars
    from {{ ref('int_flow_klines') }} as klines
    where {{ is_of_changed_day('klines', 'int_judged_days', 'int_flow_days') }}
    group by market_id, bar_date, bar_hours
)

select
    published.market_id,
    published.bar_date,
    published.bar_hours,
    published.volume_usd,
    published.net_usd,
    published.published_coverage_ratio,
    judged.volume_usd as judged_volume_usd,
    judged.net_usd as judged_net_usd,
    judged.coverage_ratio,
    judged.kline_coverage_ratio,
    judged.replaced_bars,
    judged.doubtful_bars,
    judged.empty_bars,
    row_number() over (
        partition by published.market_id, published.bar_date
        order by judged.coverage_ratio desc, published.bar_hours asc
    ) as choice
from published_klines as published
inner join judged_klines as judged
    on published.market_id = judged.market_id
    and published.bar_date = judged.bar_date
    and published.bar_hours = judged.bar_hours
