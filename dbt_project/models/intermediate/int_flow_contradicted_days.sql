-- One row per market and day with bars that a witness contradicts, of the trades and of the klines that the day is
-- taken from: how many, and by what. Bars of which a difference is only stated are none.
{{ config(materialized='ephemeral') }}

select
    bars.market_id,
    bars.bar_date,
    count(distinct bars.bar_at) as contradicted_bars,
    count(distinct case when bars.witness = 'klines' then bars.bar_at end) as replaced_trade_bars,
    {{ sorted_list('bars.witness') }} as contradicted_by
from {{ ref('int_flow_contradictions') }} as bars
left join {{ ref('int_flow_kline_choices') }} as klines
    on bars.market_id = klines.market_id and bars.bar_date = klines.bar_date and klines.choice = 1
where bars.effect <> 'stated' and bars.bar_hours = coalesce(klines.bar_hours, 1)
group by bars.market_id, bars.bar_date
