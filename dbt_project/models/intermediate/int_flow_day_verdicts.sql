-- One row per market and day: whether trades and klines agree, as published and bar by bar, and which of the two the
-- bars are taken from.
{{ config(materialized='ephemeral') }}

with judged_days as (
    select
        paired_days.*,
        coarser.coarser_bar_hours,
        coarser.coarser_volume_usd,
        coarser.volume_difference as interval_difference_usd,
        case
            when implausible_reason is not null then 'trades_implausible'
            when trades_volume_usd is null then 'klines_only'
            when klines_volume_usd is null then 'trades_only'
            when difference_usd = 0 and net_difference_usd = 0 then 'exact'
            when difference_usd < -tolerance_usd then 'trades_incomplete'
            when difference_usd > tolerance_usd or abs(net_difference_usd) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as verdict_of_sums,
        coalesce(contradictions.contradicted_bars, 0) as contradicted_bars,
        coalesce(contradictions.replaced_trade_bars, 0) as replaced_trade_bars,
        contradictions.contradicted_by,
        case
            when klines_volume_usd is null then null
            when coarser.volume_difference is null then 'single_interval'
            when coarser.volume_difference = 0 and coarser.net_difference = 0 then 'exact'
            when abs(coarser.volume_difference) > tolerance_usd or abs(coarser.net_difference) > tolerance_usd
                then 'conflict'
            else 'within_tolerance'
        end as interval_verdict
    from {{ ref('int_flow_paired_days') }} as paired_days
    left join {{ ref('int_flow_interval_differences') }} as coarser
        on paired_days.market_id = coarser.market_id and paired_days.bar_date = coarser.bar_date and coarser.choice = 1
    left join {{ ref('int_flow_contradicted_days') }} as contradictions
        on paired_days.market_id = contradictions.market_id and paired_days.bar_date = contradictions.bar_date
),

-- Sums that agree are no agreement where single bars do not, and a source that stands alone may be contradicted too.
chosen_days as (
    select
        judged_days.*,
        case
            when contradicted_bars > 0
                and verdict_of_sums in ('exact', 'within_tolerance', 'trades_only', 'klines_only')
                then 'conflict'
            else verdict_of_sums
        end as verdict,
        -- Klines, those as published or those with the bars that the trades prove, agree with the trades.
        contradicted_bars = 0
        and (
            verdict_of_sums in ('exact', 'within_tolerance')
            or coalesce(verdict_of_sums = 'conflict' and replaced_bars > 0 and agree_as_judged, false)
        ) as is_confirmed
    from judged_days
)

select
    market_id,
    bar_date,
    trades_volume_usd,
    klines_volume_usd,
    difference_usd,
    trades_net_usd,
    klines_net_usd,
    agg_id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    implausible_reason,
    verdict,
    is_confirmed
    or verdict_of_sums = 'trades_only'
    -- Klines that lack part of the day and hold less than the trades are not the complete source.
    or (
        verdict = 'conflict'
        and published_coverage_ratio < 1
        and difference_usd > 0
        and replaced_bars = 0
        and doubtful_bars = 0
        and contradicted_bars = 0
    ) as is_built_from_trades,
    is_confirmed,
    kline_bar_hours,
    kline_coverage_ratio,
    coarser_bar_hours,
    coarser_volume_usd,
    interval_difference_usd,
    interval_verdict,
    replaced_bars,
    doubtful_bars,
    empty_bars,
    contradicted_bars,
    replaced_trade_bars,
    contradicted_by
from chosen_days
