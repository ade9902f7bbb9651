-- One row per market and day of which the trades' prices are far from those of the days beside it.
--
-- At an end of the data there is one neighbour: it is enough only against a day of many trades. Where two days
-- contradict each other and there is no other evidence, neither is used.
{{ config(materialized='ephemeral') }}

with known_prices as (
    -- At a day's ends: of its klines, else of its trades unless these are implausible themselves.
    select market_id, bar_date, open_price, close_price, true as is_klines
    from {{ ref('int_flow_kline_prices') }}
    union all
    select market_id, bar_date, open_price, close_price, false as is_klines
    from {{ ref('int_flow_trade_files') }}
    where not has_klines and implausible_reason is null and open_price is not null
),

price_jumps as (
    select
        days.market_id,
        days.bar_date,
        -- A thin market may really move far between two trades.
        days.trade_count >= {{ fewest_trades_to_judge() }} as is_busy,
        {{ is_price_jump('days.open_price', 'before.close_price') }} as jumps_from_before,
        {{ is_price_jump('days.close_price', 'after.open_price') }} as jumps_to_after
    from {{ ref('int_flow_trade_files') }} as days
    left join known_prices as before
        on days.market_id = before.market_id and days.bar_date = cast(before.bar_date + interval '1' day as date)
    left join known_prices as after
        on days.market_id = after.market_id and days.bar_date = cast(after.bar_date - interval '1' day as date)
),

-- Contradicted from both sides. Such a day is no evidence for others.
isolated_days as (
    select market_id, bar_date
    from price_jumps
    where jumps_from_before and jumps_to_after
)

select
    price_jumps.market_id,
    price_jumps.bar_date
from price_jumps
left join isolated_days as before
    on price_jumps.market_id = before.market_id
    and price_jumps.bar_date = cast(before.bar_date + interval '1' day as date)
left join isolated_days as after
    on price_jumps.market_id = after.market_id
    and price_jumps.bar_date = cast(after.bar_date - interval '1' day as date)
where
    (price_jumps.jumps_from_before and price_jumps.jumps_to_after)
    or (price_jumps.is_busy and price_jumps.jumps_from_before and before.market_id is null
        and price_jumps.jumps_to_after is null)
    or (price_jumps.is_busy and price_jumps.jumps_to_after and after.market_id is null
        and price_jumps.jumps_from_before is null)
