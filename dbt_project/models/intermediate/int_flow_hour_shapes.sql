-- One row per hour of the archive's trades or klines that is unlike the same hour at every other busy market of its
-- asset: how many times its day's usual hour it traded, there and here.
with busy_hours as (
    select market_id, source, bar_at, bar_date, volume_usd
    from {{ archive_bars() }} as archive_bars
    inner join {{ markets_with_others() }} as markets using (market_id)
    where bar_hours = 1 and volume_usd > 0 and trade_count >= {{ fewest_trades_to_judge() }}
),

usual_hours_of_days as (
    select market_id, source, bar_date, percentile_disc(0.5) within group (order by volume_usd) as volume_usd
    from busy_hours
    group by market_id, source, bar_date
    having count(*) >= {{ fewest_bars_for_the_usual() }}
),

hour_shapes as (
    select
        hours.market_id,
        hours.source,
        hours.bar_at,
        markets.base_asset,
        hours.volume_usd / usual.volume_usd as shape
    from busy_hours as hours
    inner join usual_hours_of_days as usual using (market_id, source, bar_date)
    inner join {{ ref('int_markets') }} as markets on hours.market_id = markets.market_id
)

select
    cast(own.market_id as string) as market_id,
    cast(own.source as string) as source,
    cast(own.bar_at as timestamp) as bar_at,
    max(own.shape) as ours,
    {{ value_at_first('others.shape', 'abs(ln(own.shape / others.shape))') }} as theirs
from hour_shapes as own
inner join hour_shapes as others
    on own.base_asset = others.base_asset and own.bar_at = others.bar_at and own.market_id <> others.market_id
group by own.market_id, own.source, own.bar_at
having min(
    case
        when {{ price_gap('own.shape', 'others.shape') }} + 1 > {{ volume_shape_factor() }}
            and abs(ln(own.shape)) > abs(ln(others.shape))
            then 1
        else 0
    end
) = 1
order by market_id, source, bar_at
