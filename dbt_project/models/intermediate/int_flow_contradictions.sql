-- One row per bar of the archive's trades or klines and witness that contradicts it, with the figures of both: its own
-- other figures, and what the other models find.
--
-- A witness with too little data gives no verdict, and two files of the venue that agree on a bar outvote any other.
-- What follows (`effect`): `uncovered`, the bar is not used; `replaced`, bars of the trades that the klines contradict,
-- the klines are used; `stated`, the bar is used, and everything that rests on it states so.
with contradictions_of_lone_bars as (
    select market_id, source, bar_hours, bar_at, witness, measure, ours, theirs, tolerance, 'uncovered' as effect
    from {{ ref('int_flow_own_contradictions') }}
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
    inner join {{ ref('int_flow_lone_bars') }} as lone_bars using (market_id, source, bar_hours, bar_at)
)

select
    cast(market_id as string) as market_id,
    cast(source as string) as source,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    cast(bar_at as date) as bar_date,
    cast(witness as string) as witness,
    cast(measure as string) as measure,
    cast(ours as double) as ours,
    cast(theirs as double) as theirs,
    cast(tolerance as double) as tolerance,
    cast(effect as string) as effect
from contradictions
order by market_id, source, bar_hours, bar_at, witness
