-- One row per market and day: what trades and klines each say, whether they agree, and which one the bars are taken from.
with stored_trade_days as (
    select market_id, bar_date, id_gaps, duplicate_rows, zero_rows, out_of_order_rows
    from {{ ref('int_flow_receipts') }}
    where source = 'trades' and status = 'stored'
),

day_sums as (
    select
        market_id,
        bar_date,
        source,
        bar_hours,
        cast(sum(taker_buy_usd + taker_sell_usd) as decimal(38,8)) as volume_usd,
        cast(sum(taker_buy_usd - taker_sell_usd) as decimal(38,8)) as net_usd,
        {{ share('count(*) * bar_hours', 24) }} as kline_coverage_ratio
    from {{ ref('int_flow_bars') }}
    group by market_id, bar_date, source, bar_hours
),

-- A stored file without a single trade is a statement too: nothing was traded.
trade_days as (
    select
        stored.market_id,
        stored.bar_date,
        coalesce(sums.volume_usd, 0) as volume_usd,
        coalesce(sums.net_usd, 0) as net_usd,
        stored.id_gaps,
        stored.duplicate_rows,
        stored.zero_rows,
        stored.out_of_order_rows
    from stored_trade_days as stored
    left join day_sums as sums
        on stored.market_id = sums.market_id and stored.bar_date = sums.bar_date and sums.source = 'trades'
),

kline_choices as (
    select
        market_id,
        bar_date,
        bar_hours,
        volume_usd,
        net_usd,
        kline_coverage_ratio,
        row_number() over (partition by market_id, bar_date order by kline_coverage_ratio desc, bar_hours asc) as choice
    from day_sums
    where source = 'klines'
),

kline_days as (
    select market_id, bar_date, bar_hours, volume_usd, net_usd, kline_coverage_ratio
    from kline_choices
    where choice = 1
),

-- Only intervals that hold as much of the day are comparable; of several, the one that disagrees most is shown.
interval_differences as (
    select
        finest.market_id,
        finest.bar_date,
        coarser.bar_hours as coarser_bar_hours,
        coarser.volume_usd as coarser_volume_usd,
        finest.volume_usd - coarser.volume_usd as volume_difference,
        finest.net_usd - coarser.net_usd as net_difference,
        row_number() over (
            partition by finest.market_id, finest.bar_date
            order by abs(finest.volume_usd - coarser.volume_usd) desc, coarser.bar_hours asc
        ) as choice
    from kline_days as finest
    inner join kline_choices as coarser
        on finest.market_id = coarser.market_id
        and finest.bar_date = coarser.bar_date
        and finest.bar_hours < coarser.bar_hours
        and finest.kline_coverage_ratio = coarser.kline_coverage_ratio
),

paired as (
    select
        coalesce(trades.market_id, klines.market_id) as market_id,
        coalesce(trades.bar_date, klines.bar_date) as bar_date,
        trades.volume_usd as trades_volume_usd,
        trades.net_usd as trades_net_usd,
        klines.volume_usd as klines_volume_usd,
        klines.net_usd as klines_net_usd,
        trades.volume_usd - klines.volume_usd as difference_usd,
        trades.net_usd - klines.net_usd as net_difference_usd,
        klines.volume_usd * 0.0001 as tolerance_usd,
        trades.id_gaps as agg_id_gaps,
        trades.duplicate_rows,
        trades.zero_rows,
        trades.out_of_order_rows,
        klines.bar_hours as kline_bar_hours,
        klines.kline_coverage_ratio
    from trade_days as trades
    full outer join kline_days as klines
        on trades.market_id = klines.market_id and trades.bar_date = klines.bar_date
),

judged as (
    select
        paired.*,
        coarser.coarser_bar_hours,
        coarser.coarser_volume_usd,
        coarser.volume_difference as interval_difference_usd,
        case
            when trades_volume_usd is null then 'klines_only'
            when klines_volume_usd is null then 'trades_only'
            when difference_usd = 0 and net_difference_usd = 0 then 'exact'
            when difference_usd < -tolerance_usd then 'trades_incomplete'
            when difference_usd > tolerance_usd or abs(net_difference_usd) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as verdict,
        case
            when klines_volume_usd is null then null
            when coarser.volume_difference is null then 'single_interval'
            when coarser.volume_difference = 0 and coarser.net_difference = 0 then 'exact'
            when abs(coarser.volume_difference) > tolerance_usd or abs(coarser.net_difference) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as interval_verdict
    from paired
    left join interval_differences as coarser
        on paired.market_id = coarser.market_id and paired.bar_date = coarser.bar_date and coarser.choice = 1
)

select
    market_id,
    bar_date,
    trades_volume_usd,
    klines_volume_usd,
    difference_usd,
    trades_net_usd,
    klines_net_usd,
    agg_id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    verdict,
    verdict in ('exact', 'within_tolerance', 'trades_only')
    -- Klines that lack part of the day and hold less than the trades are not the complete source.
    or (verdict = 'conflict' and kline_coverage_ratio < 1 and difference_usd > 0) as is_built_from_trades,
    kline_bar_hours,
    kline_coverage_ratio,
    coarser_bar_hours,
    coarser_volume_usd,
    interval_difference_usd,
    interval_verdict
from judged
order by market_id, bar_date
