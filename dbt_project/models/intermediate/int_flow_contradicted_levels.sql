-- One row per market, source, bar length and level of prices that the levels beside it contradict, with both prices.
--
-- At an end of the data the neighbour is enough where both trade so often that no price can be old.
{{ config(materialized='ephemeral') }}

with series_of_levels as (
    select distinct market_id, source, bar_hours
    from {{ ref('int_flow_price_levels') }}
    where price_level > 0
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
    from {{ ref('int_flow_price_levels') }}
    inner join series_of_levels using (market_id, source, bar_hours)
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
)

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
