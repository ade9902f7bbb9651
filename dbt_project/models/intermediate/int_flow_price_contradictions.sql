-- One row per bar of the archive's trades or klines and price that contradicts its own: that of the bars beside it, of
-- the levels beside its level, of open interest as the venue values it, and of other markets of the asset. Whether a
-- level of prices is wrong is decided by all bars in it.
--
-- A level is wrong where most of its bars are: a witness that is wrong itself for a day is one against all the others.
with verdicts_on_levels as (
    select
        market_id,
        source,
        bar_hours,
        price_level,
        witness,
        2 * sum(case when is_off then 1 else 0 end) > count(*) as is_wrong
    from {{ ref('int_flow_price_witnesses') }}
    group by market_id, source, bar_hours, price_level, witness
),

-- A level to which another price testifies is a real one.
confirmed_levels as (
    select distinct market_id, source, bar_hours, price_level
    from verdicts_on_levels
    where not is_wrong
),

contradictions as (
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'neighbouring_bars' as witness,
        open_price as ours,
        former_close as theirs,
        gap_tolerance as tolerance
    from {{ ref('int_flow_price_levels') }} as bars
    where is_apart
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        'price_level',
        levels.own_price,
        levels.other_price,
        {{ price_step() }} * least(levels.own_price, levels.other_price)
    from {{ ref('int_flow_price_levels') }} as bars
    inner join {{ ref('int_flow_contradicted_levels') }} as levels
        using (market_id, source, bar_hours, price_level)
    left join confirmed_levels as confirmed using (market_id, source, bar_hours, price_level)
    where confirmed.market_id is null
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        bars.witness,
        bars.ours,
        bars.theirs,
        bars.tolerance * least(bars.ours, bars.theirs)
    from {{ ref('int_flow_price_witnesses') }} as bars
    inner join verdicts_on_levels as verdicts using (market_id, source, bar_hours, price_level, witness)
    where bars.is_off and verdicts.is_wrong
)

select
    cast(market_id as string) as market_id,
    cast(source as string) as source,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    witness,
    ours,
    theirs,
    tolerance
from contradictions
order by market_id, source, bar_hours, bar_at, witness
