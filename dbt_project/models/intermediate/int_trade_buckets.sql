-- One row per market, grain (1, 4, 24 hours) and bar with archived trades, of the days that are built from trades
-- (`int_flow_days`).
--
-- Klines that agree with the trades of a day prove them as complete as they are themselves, over the same time or,
-- where they are longer, the bar that contains it. Without them only minutes with a trade are proven: a lower bound,
-- since a quiet minute looks like a lost one.
with quarantined_rows as (
    select market_id, bar_date, hour_at, sum(row_count) as row_count
    from {{ ref('int_flow_defects') }}
    where kind = 'quarantined_rows' and source = 'trades'
    group by market_id, bar_date, hour_at
),

-- Each quarantined row may have been all that its minute contained; a row whose hour is unknown may belong to any hour
-- of its day.
trade_hours as (
    select
        bars.market_id,
        bars.bar_at,
        bars.bar_date,
        bars.taker_buy_usd,
        bars.taker_sell_usd,
        bars.taker_buy_base,
        bars.taker_sell_base,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        bars.trade_count,
        greatest(bars.covered_minutes - coalesce(of_hour.row_count, 0) - coalesce(of_day.row_count, 0), 0)
            as covered_minutes
    from {{ ref('int_flow_bars') }} as bars
    left join quarantined_rows as of_hour
        on bars.market_id = of_hour.market_id and bars.bar_at = of_hour.hour_at
    left join quarantined_rows as of_day
        on bars.market_id = of_day.market_id and bars.bar_date = of_day.bar_date and of_day.hour_at is null
    where bars.source = 'trades'
        -- An hour that a witness contradicts is not used.
        and not exists (
            select 1
            from {{ ref('int_flow_contradictions') }} as contradictions
            where contradictions.source = 'trades' and contradictions.effect = 'uncovered'
                and contradictions.market_id = bars.market_id and contradictions.bar_at = bars.bar_at
        )
),

buckets as (
    select
        hours.market_id,
        grains.grain_hours,
        {{ bar_start('hours.bar_at', 'grains.grain_hours') }} as bar_at,
        hours.bar_date,
        {{ summed_bar_columns('hours') }}
    from trade_hours as hours
    cross join {{ bar_grains() }} as grains
    group by hours.market_id, grains.grain_hours, {{ bar_start('hours.bar_at', 'grains.grain_hours') }}, hours.bar_date
)

select
    buckets.market_id,
    'trades' as source,
    1 as source_bar_hours,
    buckets.grain_hours,
    buckets.bar_at,
    buckets.bar_date,
    {{ bar_columns('buckets') }},
    case
        when days.is_confirmed
            then coalesce(
                same_bar.coverage_ratio,
                {{ share('longer_bar.covered_minutes', 'longer_bar.bar_hours * 60') }},
                {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }}
            )
        else {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }}
    end as coverage_ratio
from buckets
inner join {{ ref('int_flow_days') }} as days
    on buckets.market_id = days.market_id and buckets.bar_date = days.bar_date
left join {{ ref('int_kline_buckets') }} as same_bar
    on buckets.market_id = same_bar.market_id
    and buckets.grain_hours = same_bar.grain_hours
    and buckets.bar_at = same_bar.bar_at
left join {{ ref('int_flow_klines') }} as longer_bar
    on buckets.market_id = longer_bar.market_id
    and days.kline_bar_hours = longer_bar.bar_hours
    and longer_bar.bar_hours > buckets.grain_hours
    and {{ bar_start('buckets.bar_at', 'days.kline_bar_hours') }} = longer_bar.bar_at
where days.is_built_from_trades
order by buckets.market_id, buckets.grain_hours, buckets.bar_at
