-- One row per market and UTC day that any source covers: do the sources agree? Aggregates over venues have no sources
-- of their own.
with days as (
    select market_id, bar_date
    from {{ ref('int_flow_days') }}
    union
    select market_id, bar_date
    from {{ ref('int_rest_days') }}
    union
    select market_id, bar_date
    from {{ ref('int_market_bars') }}
    where grain_hours = 24
)

select
    days.market_id,
    substring(days.market_id, 1, position(':' in days.market_id) - 1) as venue,
    days.bar_date,
    archive.trades_volume_usd,
    archive.klines_volume_usd,
    archive.difference_usd,
    archive.trades_net_usd,
    archive.klines_net_usd,
    archive.agg_id_gaps,
    archive.duplicate_rows,
    archive.zero_rows,
    archive.out_of_order_rows,
    coalesce(archive.verdict, 'provisional_only') as verdict,
    {{ bar_interval('archive.kline_bar_hours') }} as kline_interval,
    cast(archive.kline_coverage_ratio as double) as kline_coverage_ratio,
    {{ bar_interval('archive.coarser_bar_hours') }} as coarser_interval,
    archive.coarser_volume_usd,
    archive.interval_difference_usd,
    archive.interval_verdict,
    coalesce(archive.quarantined_rows, 0) as quarantined_rows,
    coalesce(archive.replaced_bars, 0) as replaced_bars,
    coalesce(archive.doubtful_bars, 0) as doubtful_bars,
    coalesce(archive.contradicted_bars, 0) as contradicted_bars,
    archive.contradicted_by,
    archive.replaced_sources,
    archive.defect_reason,
    rest.rest_hours,
    rest.rest_volume_usd,
    rest.rest_net_usd,
    rest.rest_difference_usd,
    rest.rest_verdict,
    cast(venue_ratios.difference_ratio as double) as venue_taker_ratio_difference
from days
left join {{ ref('int_flow_days') }} as archive
    on days.market_id = archive.market_id and days.bar_date = archive.bar_date
left join {{ ref('int_rest_days') }} as rest
    on days.market_id = rest.market_id and days.bar_date = rest.bar_date
left join {{ ref('int_venue_taker_ratios') }} as venue_ratios
    on days.market_id = venue_ratios.market_id and days.bar_date = venue_ratios.bar_date
order by days.market_id, days.bar_date
