-- One row per kline of the archive and other length of klines that does not hold the same, over the time of the longer
-- of the two.
with klines as (
    select * from {{ archive_bars() }} as archive_bars
    where source = 'klines'
        and market_id in (
            select market_id
            from {{ archive_bars() }} as bars
            where source = 'klines'
            group by market_id
            having min(bar_hours) < max(bar_hours)
        )
),

kline_days as (
    select distinct market_id, bar_date, bar_hours
    from klines
),

longer_bars_and_sums as (
    select
        longer.market_id,
        longer.bar_hours as longer_hours,
        longer.bar_at as longer_at,
        longer.bar_date,
        shorter.bar_hours as shorter_hours,
        sum(shorter.volume_usd) as sum_usd,
        max(longer.volume_usd) as longer_usd,
        greatest(
            abs(sum(shorter.volume_usd) - max(longer.volume_usd)) / nullif(max(longer.volume_usd), 0),
            abs(sum(shorter.volume_base) - max(longer.volume_base)) / nullif(max(longer.volume_base), 0),
            abs(sum(shorter.net_usd) - max(longer.net_usd)) / nullif(max(longer.volume_usd), 0)
        ) as amount_difference,
        greatest(
            {{ price_gap('max(shorter.high_price)', 'max(longer.high_price)') }},
            {{ price_gap('min(shorter.low_price)', 'max(longer.low_price)') }},
            {{ price_gap(value_at_first('shorter.open_price', 'shorter.bar_at'), 'max(longer.open_price)') }},
            {{ price_gap(value_at_last('shorter.close_price', 'shorter.bar_at'), 'max(longer.close_price)') }}
        ) as price_difference
    from klines as longer
    inner join klines as shorter
        on longer.market_id = shorter.market_id
        and shorter.bar_hours < longer.bar_hours
        and shorter.bar_date = longer.bar_date
        and {{ bar_start('shorter.bar_at', 'longer.bar_hours') }} = longer.bar_at
    group by longer.market_id, longer.bar_hours, longer.bar_at, longer.bar_date, shorter.bar_hours
    having count(*) = max(longer.bar_hours) / max(shorter.bar_hours)
),

different_sums as (
    select
        different.*,
        case
            when amount_difference > {{ interval_difference_to_state() }}
                or price_difference > {{ bar_price_tolerance() }}
                then 'uncovered'
            else 'stated'
        end as effect,
        -- Klines of a third length tell which part of the day it is, or outvote the longest.
        exists (
            select 1
            from kline_days as third_days
            where third_days.market_id = different.market_id and third_days.bar_date = different.bar_date
                and third_days.bar_hours < different.longer_hours and third_days.bar_hours <> different.shorter_hours
        ) as has_third_length
    from longer_bars_and_sums as different
    where amount_difference > {{ least_interval_difference() }} or price_difference > {{ bar_price_tolerance() }}
),

-- Both lengths: which of the two is wrong nothing shows.
different_klines as (
    select
        klines.market_id,
        klines.bar_hours,
        klines.bar_at,
        different.longer_usd,
        different.sum_usd,
        different.effect,
        klines.bar_hours = different.longer_hours as is_longer
    from different_sums as different
    inner join klines
        on different.market_id = klines.market_id and different.bar_date = klines.bar_date
        and klines.bar_hours in (different.longer_hours, different.shorter_hours)
        and {{ bar_start('klines.bar_at', 'different.longer_hours') }} = different.longer_at
    where klines.bar_hours = different.longer_hours or not different.has_third_length
)

select
    cast(market_id as string) as market_id,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    case when is_longer then 'shorter_klines' else 'longer_klines' end as witness,
    case when is_longer then max(longer_usd) else max(sum_usd) end as ours,
    case when is_longer then max(sum_usd) else max(longer_usd) end as theirs,
    {{ least_interval_difference() }} * max(longer_usd) as tolerance,
    max(effect) as effect
from different_klines
group by market_id, bar_hours, bar_at, is_longer
order by market_id, bar_hours, bar_at, witness
