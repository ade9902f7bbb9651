-- One row per bar of the archive's trades or klines and what the venue's own metrics report of the same time: the
-- prices by which it values open interest, and between which values the takers' ratio lies.
with bars as (
    select * from {{ archive_bars() }} as archive_bars
),

joined_hours as (
    select
        market_id,
        hour_at,
        sum(ratio_count) as ratio_count,
        min(lowest_ratio) as lowest_ratio,
        max(highest_ratio) as highest_ratio,
        max(first_ratio) as first_ratio,
        min(lowest_price) as lowest_price,
        max(highest_price) as highest_price
    from {{ ref('int_metrics_hours') }}
    group by market_id, hour_at
),

metric_hours as (
    select
        market_id,
        hour_at,
        lowest_price,
        highest_price,
        -- The five minutes from the hour to its end, whether a venue labels them by their start or by their end.
        case when ratio_count = 12 then least(lowest_ratio, lead(first_ratio) over hours) end as lowest_ratio,
        case when ratio_count = 12 then greatest(highest_ratio, lead(first_ratio) over hours) end as highest_ratio,
        case when lead(hour_at) over hours = hour_at + interval '1' hour then lead(first_ratio) over hours end
            as next_ratio
    from joined_hours
    window hours as (partition by market_id order by hour_at)
),

metric_bars as (
    select
        hours.market_id,
        lengths.bar_hours,
        {{ bar_start('hours.hour_at', 'lengths.bar_hours') }} as bar_at,
        min(hours.lowest_price) as lowest_price,
        max(hours.highest_price) as highest_price,
        min(hours.lowest_ratio) as lowest_ratio,
        max(hours.highest_ratio) as highest_ratio,
        count(case when hours.next_ratio is not null then hours.lowest_ratio end) = lengths.bar_hours as has_ratio
    from metric_hours as hours
    inner join (select distinct market_id, bar_hours from bars) as lengths on hours.market_id = lengths.market_id
    group by hours.market_id, lengths.bar_hours, {{ bar_start('hours.hour_at', 'lengths.bar_hours') }}
)

select
    cast(bars.market_id as string) as market_id,
    cast(bars.source as string) as source,
    cast(bars.bar_hours as integer) as bar_hours,
    cast(bars.bar_at as timestamp) as bar_at,
    metrics.lowest_price,
    metrics.highest_price,
    bars.buy_base / nullif(bars.sell_base, 0) as bar_ratio,
    case
        when bars.buy_base > metrics.highest_ratio * bars.sell_base then metrics.highest_ratio
        else metrics.lowest_ratio
    end as nearest_ratio,
    metrics.has_ratio
    and bars.trade_count >= {{ fewest_trades_for_a_price() }} * bars.bar_hours
    and (
        bars.buy_base > metrics.highest_ratio * (1 + {{ taker_ratio_tolerance() }}) * bars.sell_base
        or bars.buy_base * (1 + {{ taker_ratio_tolerance() }}) < metrics.lowest_ratio * bars.sell_base
    ) as is_ratio_off
from bars
inner join metric_bars as metrics
    on bars.market_id = metrics.market_id and bars.bar_hours = metrics.bar_hours and bars.bar_at = metrics.bar_at
order by market_id, source, bar_hours, bar_at
