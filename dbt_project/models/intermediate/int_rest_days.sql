-- One row per market and day for which the venue's API gave bars or trades: did it report the same as the archive did
-- later? Only hours that both have are compared, and of hours of trades only those that were requested completely.
with rest_hours as (
    select
        bars.market_id,
        bars.bar_at,
        bars.bar_date,
        bars.taker_buy_usd,
        bars.taker_sell_usd,
        row_number() over (
            partition by bars.market_id, bars.bar_at
            order by case bars.source when 'rest_klines' then 1 else 2 end
        ) as choice
    from {{ ref('int_flow_bars') }} as bars
    left join {{ ref('stg_raw__coverage') }} as coverage
        on coverage.dataset = 'restTrades'
        and bars.market_id = coverage.venue || ':' || coverage.symbol
        and bars.bar_at = coverage.hour_at
    where bars.source = 'rest_klines' or (bars.source = 'rest_trades' and coverage.covered_minutes = 60)
),

rest_days as (
    select distinct market_id, bar_date
    from {{ ref('int_flow_bars') }}
    where source in ('rest_klines', 'rest_trades')
),

archive_hours as (
    select bars.market_id, bars.bar_at, bars.taker_buy_usd, bars.taker_sell_usd
    from {{ ref('int_flow_bars') }} as bars
    inner join {{ ref('int_flow_days') }} as days on bars.market_id = days.market_id and bars.bar_date = days.bar_date
    where bars.source = 'trades' and days.is_built_from_trades
    union all
    select klines.market_id, klines.bar_at, klines.taker_buy_usd, klines.taker_sell_usd
    from {{ ref('int_flow_klines') }} as klines
    inner join {{ ref('int_flow_days') }} as days
        on klines.market_id = days.market_id and klines.bar_date = days.bar_date
    where klines.bar_hours = 1 and klines.state <> 'doubtful' and not days.is_built_from_trades
),

compared_days as (
    select
        rest.market_id,
        rest.bar_date,
        count(*) as rest_hours,
        cast(sum(rest.taker_buy_usd + rest.taker_sell_usd) as decimal(38,8)) as rest_volume_usd,
        cast(sum(rest.taker_buy_usd - rest.taker_sell_usd) as decimal(38,8)) as rest_net_usd,
        cast(sum(archive.taker_buy_usd + archive.taker_sell_usd) as decimal(38,8)) as archive_volume_usd,
        cast(sum(archive.taker_buy_usd - archive.taker_sell_usd) as decimal(38,8)) as archive_net_usd
    from rest_hours as rest
    inner join archive_hours as archive
        on rest.market_id = archive.market_id and rest.bar_at = archive.bar_at
    where rest.choice = 1
    group by rest.market_id, rest.bar_date
)

select
    rest_days.market_id,
    rest_days.bar_date,
    cast(coalesce(compared_days.rest_hours, 0) as bigint) as rest_hours,
    compared_days.rest_volume_usd,
    compared_days.rest_net_usd,
    compared_days.rest_volume_usd - compared_days.archive_volume_usd as rest_difference_usd,
    case
        when compared_days.rest_hours is null then 'not_comparable'
        when compared_days.rest_volume_usd = compared_days.archive_volume_usd
            and compared_days.rest_net_usd = compared_days.archive_net_usd
            then 'exact'
        when abs(compared_days.rest_volume_usd - compared_days.archive_volume_usd)
                <= compared_days.archive_volume_usd * 0.0001
            and abs(compared_days.rest_net_usd - compared_days.archive_net_usd)
                <= compared_days.archive_volume_usd * 0.0001
            then 'within_tolerance'
        else 'conflict'
    end as rest_verdict
from rest_days
left join compared_days on rest_days.market_id = compared_days.market_id and rest_days.bar_date = compared_days.bar_date
order by rest_days.market_id, rest_days.bar_date
