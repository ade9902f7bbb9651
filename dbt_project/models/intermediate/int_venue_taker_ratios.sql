-- One row per market and day for which the venue reports its taker volumes: the largest difference from the hours of
-- `int_market_bars`. Hours that are not completely covered prove nothing.
with reported_hours as (
    select
        ratios.market_id,
        ratios.bar_at,
        ratios.bar_date,
        cast(ratios.taker_buy_volume * markets.base_multiplier as decimal(38,8)) as taker_buy_base,
        cast(ratios.taker_sell_volume * markets.base_multiplier as decimal(38,8)) as taker_sell_base
    from {{ ref('stg_raw__taker_ratios') }} as ratios
    inner join {{ ref('int_markets') }} as markets on ratios.market_id = markets.market_id
),

compared_hours as (
    select
        bars.market_id,
        reported.bar_date,
        greatest(
            abs(reported.taker_buy_base - bars.taker_buy_base), abs(reported.taker_sell_base - bars.taker_sell_base)
        ) as difference_base,
        greatest(bars.volume_base, reported.taker_buy_base + reported.taker_sell_base) as volume_base
    from reported_hours as reported
    inner join {{ ref('int_market_bars') }} as bars
        on reported.market_id = bars.market_id and reported.bar_at = bars.bar_at
    where bars.grain_hours = 1 and bars.coverage_ratio = 1
)

select
    market_id,
    bar_date,
    max(case when volume_base = 0 then 0 else {{ share('difference_base', 'volume_base') }} end) as difference_ratio
from compared_hours
group by market_id, bar_date
order by market_id, bar_date
