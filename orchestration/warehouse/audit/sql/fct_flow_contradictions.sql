-- One row per contradicted bar and witness: the figures contradict each other, and nothing published hides it.
with hours as (
    select
        market_id,
        bar_at,
        flow_source,
        flow_quality
    from fct_net_taker_volume_hourly
)

select
    found.market_id,
    found.source,
    found.bar_interval,
    found.bar_at,
    found.witness,
    found.measure,
    found.ours,
    found.theirs,
    found.tolerance,
    found.effect,
    days.verdict,
    days.contradicted_bars,
    hours.flow_source,
    hours.flow_quality,
    -- Nothing sold has no ratio; klines of another length may differ in their prices alone.
    found.ours is null or found.witness in ('longer_klines', 'shorter_klines')
    or coalesce(abs(found.ours - found.theirs) > found.tolerance, false) as is_apart,
    days.market_id is not null
    and (
        found.effect = 'stated'
        or found.bar_interval <> coalesce(days.kline_interval, '1h')
        or coalesce(days.contradicted_bars > 0 and days.verdict not in ('exact', 'within_tolerance'), false)
    ) as is_verdict_aware,
    found.effect = 'stated' or found.bar_interval <> '1h'
    or coalesce(days.kline_interval, '1h') <> '1h'
    or coalesce(hours.flow_source <> found.source, true) as is_unused,
    found.bar_interval <> coalesce(days.kline_interval, '1h')
    or coalesce(hours.flow_quality = 'contradicted' or hours.flow_source not in ('trades', 'klines', 'mixed'), true)
        as is_stated
from fct_flow_contradictions as found
left join fct_flow_reconciliation_daily as days
    on found.market_id = days.market_id and found.bar_date = days.bar_date
left join hours
    on found.market_id = hours.market_id and found.bar_at = hours.bar_at and found.bar_interval = '1h'
