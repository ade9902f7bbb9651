-- One row per bar with trades of the archive's trades or klines, the level of prices to which it belongs, and what its
-- neighbours say of both. A level is what follows upon each other without a step in price.
with bars as (
    select
        archive_bars.*,
        lag(bar_at) over series as former_at,
        lag(close_price) over series as former_close,
        lag(trade_count) over series as former_count,
        lead(bar_at) over series as next_at,
        lead(open_price) over series as next_open,
        lead(trade_count) over series as next_count
    from {{ archive_bars() }} as archive_bars
    where volume_usd > 0 and low_price > 0
    window series as (partition by market_id, source, bar_hours order by bar_at)
),

bars_with_gaps as (
    select
        bars.*,
        case
            when bar_at = former_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('open_price', 'former_close') }}
        end as gap_before,
        case
            when next_at = bar_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('close_price', 'next_open') }}
        end as gap_after
    from bars
),

usual_gaps_of_months as (
    select
        market_id,
        source,
        bar_hours,
        date_trunc('month', bar_at) as month_at,
        greatest({{ least_gap() }}, {{ usual_gaps() }} * percentile_disc(0.75) within group (order by gap_before))
            as tolerance
    from bars_with_gaps
    where gap_before is not null
    group by market_id, source, bar_hours, date_trunc('month', bar_at)
    having count(*) >= {{ fewest_bars_for_the_usual() }}
),

bars_in_levels as (
    select
        bars_with_gaps.*,
        sum(case when gap_before > {{ price_step() }} then 1 else 0 end) over (
            partition by market_id, source, bar_hours
            order by bar_at
            rows between unbounded preceding and current row
        ) as price_level
    from bars_with_gaps
),

levels as (
    select
        market_id,
        source,
        bar_hours,
        price_level,
        count(*) as bar_count,
        {{ value_at_first('open_price', 'bar_at') }} as open_price,
        {{ value_at_last('close_price', 'bar_at') }} as close_price,
        {{ value_at_first('trade_count', 'bar_at') }} as first_trade_count,
        {{ value_at_last('trade_count', 'bar_at') }} as last_trade_count
    from bars_in_levels
    group by market_id, source, bar_hours, price_level
),

levels_with_neighbours as (
    select
        levels.*,
        lag(close_price) over series as former_close,
        lag(bar_count) over series as former_bars,
        lead(open_price) over series as next_open,
        lead(bar_count) over series as next_bars
    from levels
    window series as (partition by market_id, source, bar_hours order by price_level)
),

-- Between two steps of which the second undoes the first; such a level is no evidence for others.
judged_levels as (
    select
        levels_with_neighbours.*,
        coalesce(
            former_close is not null and next_open is not null
            and bar_count <= greatest(former_bars, next_bars)
            and {{ price_gap('former_close', 'next_open') }} <= {{ price_step() }},
            false
        ) as is_isolated
    from levels_with_neighbours
),

judged_levels_with_neighbours as (
    select
        judged_levels.*,
        lag(is_isolated) over series as is_former_isolated,
        lead(is_isolated) over series as is_next_isolated
    from judged_levels
    window series as (partition by market_id, source, bar_hours order by price_level)
),

-- At an end of the data the neighbour is enough where both trade so often that no price can be old.
contradicted_levels as (
    select
        market_id,
        source,
        bar_hours,
        price_level,
        coalesce(former_close, next_open) as other_price,
        case when former_close is not null then open_price else close_price end as own_price
    from judged_levels_with_neighbours
    where is_isolated
        or (
            former_close is null and bar_count <= next_bars and not is_next_isolated
            and last_trade_count >= {{ fewest_trades_to_judge() }} * bar_hours
        )
        or (
            next_open is null and bar_count <= former_bars and not is_former_isolated
            and first_trade_count >= {{ fewest_trades_to_judge() }} * bar_hours
        )
)

select
    cast(bars.market_id as varchar) as market_id,
    cast(bars.source as varchar) as source,
    cast(bars.bar_hours as integer) as bar_hours,
    cast(bars.bar_at as timestamp) as bar_at,
    bars.low_price,
    bars.high_price,
    bars.open_price,
    bars.former_close,
    usual.tolerance * least(bars.open_price, bars.former_close) as gap_tolerance,
    -- Neither its neighbours' prices fit, and none of the three can be old.
    bars.gap_before is not null and bars.gap_after is not null
    and least(bars.gap_before, bars.gap_after) > usual.tolerance
    and least(bars.former_count, bars.trade_count, bars.next_count)
    >= {{ fewest_trades_for_a_price() }} * bars.bar_hours as is_apart,
    cast(bars.price_level as integer) as price_level,
    levels.own_price as level_price,
    levels.other_price as other_level_price
from bars_in_levels as bars
left join usual_gaps_of_months as usual
    on bars.market_id = usual.market_id and bars.source = usual.source
    and bars.bar_hours = usual.bar_hours and date_trunc('month', bars.bar_at) = usual.month_at
left join contradicted_levels as levels
    on bars.market_id = levels.market_id and bars.source = levels.source
    and bars.bar_hours = levels.bar_hours and bars.price_level = levels.price_level
order by market_id, source, bar_hours, bar_at
