-- One row per market and day of which a file of trades is stored: what it sums to, whether it can be a market's flow at
-- all, and whether it is whole. Ingestion judges a file by itself (`implausible`); here its prices are held against the
-- klines of the day, or, without klines, against the neighbouring days.
-- Long, since a day is judged by its klines and its neighbours, which are judged by the same rules themselves.
with stored_days as (
    select market_id, bar_date, id_gaps, duplicate_rows, zero_rows, out_of_order_rows
    from {{ ref('int_flow_receipts') }}
    where source = 'trades' and status = 'stored'
),

day_sums as (
    select
        market_id,
        bar_date,
        cast(sum(taker_buy_usd + taker_sell_usd) as decimal(38,8)) as volume_usd,
        cast(sum(taker_buy_usd - taker_sell_usd) as decimal(38,8)) as net_usd,
        sum(trade_count) as trade_count,
        min(bar_at) as first_bar_at,
        max(bar_at) as last_bar_at,
        {{ value_at_first('open_price', 'bar_at') }} as open_price,
        {{ value_at_last('close_price', 'bar_at') }} as close_price,
        max(high_price) as high_price,
        min(low_price) as low_price
    from {{ ref('int_flow_bars') }}
    where source = 'trades'
    group by market_id, bar_date
),

kline_prices as (
    select
        market_id,
        bar_date,
        {{ value_at_first('open_price', 'bar_at') }} as open_price,
        {{ value_at_last('close_price', 'bar_at') }} as close_price,
        max(high_price) as high_price,
        min(low_price) as low_price
    from {{ ref('int_flow_bars') }}
    where source = 'klines' and taker_buy_usd + taker_sell_usd > 0
    group by market_id, bar_date
),

defects as (
    select
        market_id,
        bar_date,
        sum(case when kind = 'quarantined_rows' then row_count else 0 end) as quarantined_rows,
        max(case when kind = 'implausible' then reason end) as implausible_reason
    from {{ ref('int_flow_defects') }}
    where source = 'trades'
    group by market_id, bar_date
),

days as (
    select
        stored_days.*,
        coalesce(day_sums.volume_usd, 0) as volume_usd,
        coalesce(day_sums.net_usd, 0) as net_usd,
        coalesce(day_sums.trade_count, 0) as trade_count,
        day_sums.first_bar_at,
        day_sums.last_bar_at,
        day_sums.open_price,
        day_sums.close_price,
        day_sums.high_price,
        day_sums.low_price,
        coalesce(defects.quarantined_rows, 0) as quarantined_rows,
        defects.implausible_reason,
        klines.market_id is not null as has_klines,
        coalesce(
            {{ is_price_jump('day_sums.high_price', 'klines.high_price') }}
                or {{ is_price_jump('day_sums.low_price', 'klines.low_price') }},
            false
        ) as contradicts_klines
    from stored_days
    left join day_sums on stored_days.market_id = day_sums.market_id and stored_days.bar_date = day_sums.bar_date
    left join defects on stored_days.market_id = defects.market_id and stored_days.bar_date = defects.bar_date
    left join kline_prices as klines
        on stored_days.market_id = klines.market_id
        and stored_days.bar_date = klines.bar_date
),

-- The known prices at a day's ends: its klines, else its trades unless these are implausible themselves.
known_prices as (
    select market_id, bar_date, open_price, close_price, true as is_klines
    from kline_prices
    union all
    select market_id, bar_date, open_price, close_price, false as is_klines
    from days
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
    from days
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
),

-- At an end of the data there is one neighbour: it is enough only against a day of many trades. Where two days
-- contradict each other and there is no other evidence, neither is used.
contradicted_days as (
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
),

judged_days as (
    select
        days.*,
        coalesce(
            days.implausible_reason,
            case
                when days.contradicts_klines then 'the prices of the trades are far from those of the day''s klines'
                when not days.has_klines and contradicted_days.market_id is not null
                    then 'the prices of the trades are far from those of the days beside them'
            end
        ) as reason
    from days
    left join contradicted_days
        on days.market_id = contradicted_days.market_id
        and days.bar_date = contradicted_days.bar_date
)

select
    market_id,
    bar_date,
    volume_usd,
    net_usd,
    first_bar_at,
    last_bar_at,
    id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    cast(quarantined_rows as bigint) as quarantined_rows,
    reason as implausible_reason,
    coalesce(id_gaps = 0, false) and quarantined_rows = 0 and reason is null as is_whole
from judged_days
order by market_id, bar_date
