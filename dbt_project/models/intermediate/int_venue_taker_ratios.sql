-- One row per market and day that the venue gave its own taker volumes of: how far they are from our hours, at most. Hours that are not
-- wholly covered prove nothing.
with hours as (
    select
        bars.market_id,
        ratios.trade_date,
        greatest(
            abs(ratios.taker_buy_base - bars.taker_buy_base), abs(ratios.taker_sell_base - bars.taker_sell_base)
        ) as difference_base,
        greatest(bars.volume_base, ratios.taker_buy_base + ratios.taker_sell_base) as volume_base
    from {{ ref('stg_raw__taker_ratios') }} as ratios
    inner join {{ ref('int_market_bars') }} as bars
        on ratios.market_id = bars.market_id and ratios.bar_at = bars.bar_at
    where bars.grain_hours = 1 and bars.coverage_ratio = 1
)

select
    market_id,
    trade_date,
    max(case when volume_base = 0 then 0 else {{ share('difference_base', 'volume_base') }} end) as difference_ratio
from hours
group by market_id, trade_date
order by market_id, trade_date
