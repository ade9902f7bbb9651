-- One row per bar of the archive's trades or klines and figure of its own that contradicts it: its length, its sides,
-- or its prices.
{{ config(materialized='ephemeral') }}

with bars as (
    select
        archive_bars.*,
        volume_usd / nullif(volume_base, 0) as average_price,
        {{
            price_distance(
                'volume_usd / nullif(volume_base, 0)', 'volume_usd / nullif(volume_base, 0)', 'low_price', 'high_price'
            )
        }} > {{ bar_price_tolerance() }} as is_average_off
    from {{ archive_bars() }} as archive_bars
),

one_sided_days as (
    select market_id, source, bar_hours, bar_date
    from {{ archive_bars() }} as archive_bars
    group by market_id, source, bar_hours, bar_date
    having sum(trade_count) >= {{ fewest_trades_to_judge() }} and least(sum(buy_base), sum(sell_base)) = 0
),

-- Where most of a market's bars are beside their own prices its contract size is wrong, which the audit refuses.
wrong_contract_sizes as (
    select market_id, source
    from bars
    group by market_id, source
    having 2 * sum(case when is_average_off then 1 else 0 end) > count(*)
)

select
    market_id,
    source,
    bar_hours,
    bar_at,
    'own_length' as witness,
    'minutes' as measure,
    reported_minutes as ours,
    bar_hours * 60 as theirs,
    1 as tolerance
from bars
where abs(reported_minutes - bar_hours * 60) > 1
union all
select market_id, source, bar_hours, bar_at, 'own_sides', 'taker_buy_share', buy_base / volume_base, 0.5,
    {{ taker_share_tolerance() }}
from bars
inner join one_sided_days using (market_id, source, bar_hours, bar_date)
where volume_base > 0
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
    {{ bar_price_tolerance() }} * least(average_price, low_price)
from bars
left join wrong_contract_sizes using (market_id, source)
where is_average_off and wrong_contract_sizes.market_id is null
