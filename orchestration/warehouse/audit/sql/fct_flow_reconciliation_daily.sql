-- One row per reconciled market and day: every verdict is recomputed from the volumes of its sources.
{% from "macros.sql" import sum_venues, tolerance %}

with days as (
    select
        *,
        trades_net_usd - klines_net_usd as net_difference_usd,
        klines_volume_usd * {{ tolerance }} as tolerance_usd
    from fct_flow_reconciliation_daily
),

judged as (
    select
        *,
        case
            -- Volumes cannot show this verdict; a reason must be stated.
            when verdict = 'trades_implausible' and trades_volume_usd is not null and defect_reason is not null
                then 'trades_implausible'
            when klines_volume_usd is null and trades_volume_usd is null then 'provisional_only'
            -- What stands alone, or agrees in its sums, is contradicted where single bars are.
            when contradicted_bars > 0 and (
                klines_volume_usd is null or trades_volume_usd is null
                or (
                    abs(trades_volume_usd - klines_volume_usd) <= tolerance_usd
                    and abs(net_difference_usd) <= tolerance_usd
                )
            ) then 'conflict'
            when klines_volume_usd is null then 'trades_only'
            when trades_volume_usd is null then 'klines_only'
            when trades_volume_usd = klines_volume_usd and net_difference_usd = 0 then 'exact'
            when trades_volume_usd - klines_volume_usd < -tolerance_usd then 'trades_incomplete'
            when trades_volume_usd - klines_volume_usd > tolerance_usd or abs(net_difference_usd) > tolerance_usd
                then 'conflict'
            else 'within_tolerance'
        end as recomputed_verdict,
        -- The best that the volumes allow: the nets of the intervals, which the mart leaves out, may disagree more.
        case
            when klines_volume_usd is null then null
            when coarser_volume_usd is null then 'single_interval'
            when coarser_volume_usd = klines_volume_usd then 'exact'
            when abs(klines_volume_usd - coarser_volume_usd) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as best_interval_verdict
    from days
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
    quarantined_rows,
    replaced_sources,
    defect_reason,
    contradicted_bars,
    contradicted_by,
    verdict,
    recomputed_verdict,
    kline_interval,
    coarser_interval,
    coarser_volume_usd,
    interval_difference_usd,
    interval_verdict,
    best_interval_verdict,
    rest_hours,
    rest_volume_usd,
    rest_net_usd,
    rest_difference_usd,
    rest_verdict,
    venue_taker_ratio_difference,
    coalesce(venue = substring(market_id, 1, position(':' in market_id) - 1), false)
    and coalesce(venue not in ({{ sum_venues }}), false) as is_venue_of_market,
    -- The best that the volumes allow: the nets of the archive's hours, which the mart leaves out, may disagree more.
    case
        when rest_hours is null then rest_verdict is null
        when rest_hours = 0 then coalesce(rest_verdict = 'not_comparable', false) and rest_difference_usd is null
        when rest_difference_usd = 0 then coalesce(rest_verdict in ('exact', 'within_tolerance', 'conflict'), false)
        when abs(rest_difference_usd) <= (rest_volume_usd - rest_difference_usd) * {{ tolerance }}
            then coalesce(rest_verdict in ('within_tolerance', 'conflict'), false)
        else coalesce(rest_verdict = 'conflict', false)
    end as is_rest_verdict_right,
    case when rest_hours > 24 or rest_hours < 0 then false else coalesce(abs(rest_net_usd) <= rest_volume_usd, true) end
        as is_rest_possible,
    least(agg_id_gaps, duplicate_rows, zero_rows, out_of_order_rows, quarantined_rows) as smallest_defect_count,
    coalesce(verdict = recomputed_verdict, false) as is_verdict_right,
    coalesce((contradicted_bars > 0) = (contradicted_by is not null), false) as is_witness_named,
    case
        when best_interval_verdict is null then interval_verdict is null
        when best_interval_verdict = 'exact'
            then coalesce(interval_verdict in ('exact', 'within_tolerance', 'conflict'), false)
        when best_interval_verdict = 'within_tolerance'
            then coalesce(interval_verdict in ('within_tolerance', 'conflict'), false)
        else coalesce(interval_verdict = best_interval_verdict, false)
    end as is_interval_verdict_right,
    case
        when trades_volume_usd is null or klines_volume_usd is null then difference_usd is null
        else coalesce(difference_usd = trades_volume_usd - klines_volume_usd, false)
    end as is_difference_right,
    case
        when klines_volume_usd is null or coarser_volume_usd is null then interval_difference_usd is null
        else coalesce(interval_difference_usd = klines_volume_usd - coarser_volume_usd, false)
    end as is_interval_difference_right
from judged
