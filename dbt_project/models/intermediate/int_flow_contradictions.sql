-- One row per bar of the archive's trades or klines and witness that contradicts it, with the figures of both: its own
-- other figures, and what the other models find.
--
-- A witness with too little data gives no verdict, and two files of the venue that agree on a bar outvote any other.
-- What follows (`effect`): `uncovered`, the bar is not used; `replaced`, bars of the trades that the klines contradict,
-- the klines are used; `stated`, the bar is used, and everything that rests on it states so.
with bars as (
    select
        archive_bars.*,
        volume_usd / nullif(volume_base, 0) as average_price,
        {{
            price_distance(
                'volume_usd / nullif(volume_base, 0)', 'volume_usd / nullif(volume_base, 0)', 'low_price', 'high_price'
            )
        }} > {{ bar_price_tolerance() }} as is_average_off,
        sum(trade_count) over of_day as day_trade_count,
        sum(buy_base) over of_day as day_buy_base,
        sum(sell_base) over of_day as day_sell_base
    from {{ archive_bars() }} as archive_bars
    window of_day as (partition by market_id, source, bar_hours, bar_date)
),

-- Where most of a market's bars are beside their own prices its contract size is wrong, which the audit refuses.
wrong_contract_sizes as (
    select market_id, source
    from bars
    group by market_id, source
    having 2 * sum(case when is_average_off then 1 else 0 end) > count(*)
),

-- Bars to which no second file of the venue testifies.
lone_bars as (
    select market_id, source, bar_hours, bar_at
    from bars
    where source = 'klines' and not exists (
        select 1
        from {{ ref('int_flow_bar_pairs') }} as pairs
        where pairs.market_id = bars.market_id and pairs.bar_hours = bars.bar_hours and pairs.bar_at = bars.bar_at
            and pairs.verdict = 'agree'
    )
    union all
    select market_id, source, bar_hours, bar_at
    from bars
    where source = 'trades' and not exists (
        select 1
        from bars as klines
        where klines.source = 'klines' and klines.market_id = bars.market_id and klines.bar_date = bars.bar_date
    )
),

contradictions_of_lone_bars as (
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'own_length' as witness,
        'minutes' as measure,
        reported_minutes as ours,
        bar_hours * 60 as theirs,
        1 as tolerance,
        'uncovered' as effect
    from bars
    where abs(reported_minutes - bar_hours * 60) > 1
    union all
    select market_id, source, bar_hours, bar_at, 'own_sides', 'taker_buy_share', buy_base / volume_base, 0.5,
        {{ taker_share_tolerance() }}, 'uncovered'
    from bars
    where volume_base > 0 and day_trade_count >= {{ fewest_trades_to_judge() }}
        and least(day_buy_base, day_sell_base) = 0
    union all
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'own_prices',
        'price',
        average_price,
        case when average_price > high_price then high_price else low_price end,
        {{ bar_price_tolerance() }} * least(average_price, low_price),
        'uncovered'
    from bars
    left join wrong_contract_sizes using (market_id, source)
    where is_average_off and wrong_contract_sizes.market_id is null
    union all
    select market_id, source, bar_hours, bar_at, witness, 'price', ours, theirs, tolerance, 'uncovered'
    from {{ ref('int_flow_price_contradictions') }}
    union all
    select market_id, 'klines', bar_hours, bar_at, witness, 'volume_usd', ours, theirs, tolerance, effect
    from {{ ref('int_flow_kline_lengths') }}
    union all
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'taker_ratio',
        'taker_buy_sell_ratio',
        bar_ratio,
        nearest_ratio,
        nearest_ratio * (1 - 1 / (1 + {{ taker_ratio_tolerance() }})),
        'uncovered'
    from {{ ref('int_flow_metric_bars') }}
    where is_ratio_off
    union all
    select
        market_id,
        source,
        1,
        bar_at,
        'other_markets_volume',
        'usual_hours',
        ours,
        theirs,
        ({{ volume_shape_factor() }} - 1) * least(ours, theirs),
        'uncovered'
    from {{ ref('int_flow_hour_shapes') }}
),

contradictions as (
    select market_id, 'trades' as source, bar_hours, bar_at, 'klines' as witness, measure, ours, theirs, tolerance,
        'replaced' as effect
    from {{ ref('int_flow_bar_pairs') }}
    where verdict = 'contradict'
    union all
    select found.*
    from contradictions_of_lone_bars as found
    inner join lone_bars using (market_id, source, bar_hours, bar_at)
)

select
    cast(market_id as varchar) as market_id,
    cast(source as varchar) as source,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    cast(bar_at as date) as bar_date,
    cast(witness as varchar) as witness,
    cast(measure as varchar) as measure,
    cast(ours as double) as ours,
    cast(theirs as double) as theirs,
    cast(tolerance as double) as tolerance,
    cast(effect as varchar) as effect
from contradictions
order by market_id, source, bar_hours, bar_at, witness
