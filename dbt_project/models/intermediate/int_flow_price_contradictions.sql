-- One row per bar of the archive's trades or klines and price that contradicts its own: that of the bars beside it, of
-- the levels beside its level, of open interest as the venue values it, and of other markets of the asset. Whether a
-- level of prices is wrong is decided by all bars in it.
with bars as (
    select levels.*, markets.base_asset
    from {{ ref('int_flow_price_levels') }} as levels
    left join {{ ref('int_markets') }} as markets on levels.market_id = markets.market_id
),

open_interest_prices as (
    select market_id, source, bar_hours, bar_at, lowest_price, highest_price
    from {{ ref('int_flow_metric_bars') }}
    where lowest_price is not null
),

other_markets_prices as (
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        min(others.low_price) as lowest_price,
        max(others.high_price) as highest_price
    from bars
    inner join bars as others
        on bars.base_asset = others.base_asset and bars.bar_hours = others.bar_hours and bars.bar_at = others.bar_at
        and bars.market_id <> others.market_id
    group by bars.market_id, bars.source, bars.bar_hours, bars.bar_at
),

bars_with_other_prices as (
    {%- for relation, witness, tolerance in [
        ('open_interest_prices', 'open_interest_price', open_interest_price_tolerance()),
        ('other_markets_prices', 'other_markets_price', other_markets_price_tolerance()),
    ] %}
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        bars.price_level,
        '{{ witness }}' as witness,
        {{ tolerance }} as tolerance,
        case when bars.low_price > others.highest_price then bars.low_price else bars.high_price end as ours,
        case when bars.low_price > others.highest_price then others.highest_price else others.lowest_price end
            as theirs,
        {{ price_distance('bars.low_price', 'bars.high_price', 'others.lowest_price', 'others.highest_price') }}
        > {{ tolerance }} as is_off
    from bars
    inner join {{ relation }} as others using (market_id, source, bar_hours, bar_at)
    {{- ' union all' if not loop.last }}
    {%- endfor %}
),

-- A level is wrong where most of its bars are: a witness that is wrong itself for a day is one against all the others.
verdicts_on_levels as (
    select
        market_id,
        source,
        bar_hours,
        price_level,
        witness,
        2 * sum(case when is_off then 1 else 0 end) > count(*) as is_wrong
    from bars_with_other_prices
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
    from bars
    where is_apart
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        'price_level',
        bars.level_price,
        bars.other_level_price,
        {{ price_step() }} * least(bars.level_price, bars.other_level_price)
    from bars
    left join confirmed_levels as confirmed using (market_id, source, bar_hours, price_level)
    where bars.level_price is not null and confirmed.market_id is null
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
    from bars_with_other_prices as bars
    inner join verdicts_on_levels as verdicts using (market_id, source, bar_hours, price_level, witness)
    where bars.is_off and verdicts.is_wrong
)

select
    cast(market_id as varchar) as market_id,
    cast(source as varchar) as source,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    witness,
    ours,
    theirs,
    tolerance
from contradictions
order by market_id, source, bar_hours, bar_at, witness
